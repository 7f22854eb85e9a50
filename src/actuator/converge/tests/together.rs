//! One command for several lights.

use super::*;

/// Four lamps, all of which want the same.
fn alike() -> (Convergence, Instant) {
    let mut convergence = Convergence::new(LIMITS, 4);
    convergence.know_sets(sets());
    (0..4).for_each(|light| convergence.want(light, Aim::Show(look(1))));
    (convergence, Instant::now())
}

#[test]
fn lights_that_want_the_same_and_are_a_room_get_one_command_and_later_ones_do_not_wait_for_the_next() {
    let (mut convergence, now) = alike();
    let next = |convergence: &mut Convergence, now| convergence.next(now, |_| Load::Single);
    let Step::Together { lights, on: false, .. } = next(&mut convergence, now) else { panic!("the home") };
    assert_eq!(lights, [0, 1, 2, 3]);
    assert_eq!(next(&mut convergence, now), Step::Wait(None), "all are under way");
    lights.iter().for_each(|light| assert!(convergence.ended(now, *light, &obeyed())));
    (0..4).for_each(|light| convergence.want(light, Aim::Show(look(2))));
    for light in 0..4_u32 {
        let at = now + light * LIMITS.single;
        assert!(
            matches!(next(&mut convergence, at), Step::Send { on: true, .. }),
            "the group's second is not waited for"
        );
        convergence.ended(at, light as usize, &obeyed());
    }
    (1..4).for_each(|light| convergence.want(light, Aim::Show(look(3))));
    let Step::Together { lights, .. } = next(&mut convergence, now + SECOND) else { panic!("the room") };
    assert_eq!(lights, [1, 2, 3]);
}

#[test]
fn lights_of_a_room_get_commands_of_their_own_where_one_would_not_do() {
    let spoilers: [fn(&mut Convergence); 4] = [
        |convergence| convergence.set_apart(1, true),
        |convergence| convergence.want(1, Aim::LeaveAlone),
        |convergence| convergence.want(1, Aim::Show(look(9))),
        |convergence| convergence.parted(Instant::now(), 1),
    ];
    for spoil in spoilers {
        let (mut convergence, now) = alike();
        spoil(&mut convergence);
        assert!(matches!(convergence.next(now + SECOND, |_| Load::Single), Step::Send { .. }));
    }
    let (mut convergence, now) = alike();
    let with_a_group = convergence.next(now, |light| if light == 0 { Load::Group } else { Load::Single });
    assert!(matches!(with_a_group, Step::Send { .. }), "it would have to wait for a second");
}

#[test]
fn what_several_were_sent_and_not_all_obeyed_is_sent_one_by_one_until_they_obey() {
    let (mut convergence, now) = alike();
    assert!(matches!(convergence.next(now, |_| Load::Single), Step::Together { .. }));
    (0..4).for_each(|light| convergence.parted(now, light));
    let heard = obeyed();
    let unreachable = Ok(Obeyed { unreachable: true, ..Obeyed::default() });
    for step in 0..4 {
        let at = now + step * LIMITS.single;
        let Step::Send { light, .. } = convergence.next(at, |_| Load::Single) else { panic!("one by one") };
        convergence.ended(at, light, if light == 3 { &unreachable } else { &heard });
    }
    (0..4).for_each(|light| convergence.want(light, Aim::Show(look(2))));
    assert!(matches!(convergence.next(now + 2 * SECOND, |_| Load::Single), Step::Send { .. }), "one is out of reach");
}
