//! What fails is tried again, with back-off.

use super::*;

#[test]
fn after_an_error_it_tries_again_after_1_s_doubling_to_30_s() {
    let mut one = One::new();
    one.want(1);
    one.send();
    for seconds in [1, 2, 4, 8, 16, 30, 30, 30] {
        one.end(&no_hub(None));
        one.want(seconds as u8);
        assert_eq!(
            one.send(),
            (look(seconds as u8), false, seconds * SECOND),
            "the newest wish, and no sooner for being new"
        );
    }
    one.end(&obeyed());
    one.want(99);
    assert_eq!(one.send().2, SECOND, "a success ends it");
}

#[test]
fn retry_after_makes_it_longer_and_never_shorter() {
    let mut one = One::new();
    one.want(1);
    one.send();
    one.end(&no_hub(Some(90 * SECOND)));
    assert_eq!(one.send().2, 90 * SECOND);
    one.end(&no_hub(Some(Duration::ZERO)));
    assert_eq!(one.send().2, 2 * SECOND);
}

#[test]
fn a_light_in_trouble_holds_no_other_back() {
    let now = Instant::now();
    let mut convergence = Convergence::new(LIMITS, 2);
    convergence.want(0, Aim::Show(look(1)));
    convergence.want(1, Aim::Show(look(1)));
    assert!(matches!(convergence.next(now, |_| Load::Single), Step::Send { light: 0, .. }));
    convergence.ended(now, 0, &Err(Trouble::Light { reason: "no such lamp".into() }));
    let Step::Wait(Some(at)) = convergence.next(now, |_| Load::Single) else { panic!("the limit is kept") };
    assert_eq!(at - now, LIMITS.single);
    assert!(matches!(convergence.next(at, |_| Load::Single), Step::Send { light: 1, .. }));
}

#[test]
fn a_light_in_trouble_that_is_back_is_tried_at_once() {
    let mut one = One::new();
    one.want(1);
    for _ in 0..5 {
        one.send();
        one.end(&Err(Trouble::Light { reason: "no such lamp".into() }));
    }
    one.now += SECOND;
    one.convergence.is_back(0);
    assert_eq!(one.send().2, Duration::ZERO);
    one.end(&Err(Trouble::Light { reason: "no such lamp".into() }));
    assert_eq!(one.send().2, SECOND, "and the waits begin anew");
}
