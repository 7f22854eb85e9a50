//! The device codes that are out: shared by all who ask, ended by whatever comes first, and few.

use std::time::Duration;

use graph2mqtt::entra::{Errand, Principal, Progress, SignIns, Trouble};
use graph2mqtt::simulator::{Call, Fault, Route, What};
use tokio::sync::watch::Receiver;

use crate::world::{CLIENT, World, http, name, upn};

const PATIENCE: Duration = Duration::from_secs(20);

/// The user code, once there is one that is not `old`.
async fn code(progress: &mut Receiver<Progress>, old: &str) -> String {
    let is_new = |progress: &Progress| matches!(progress, Progress::Waiting { prompt, .. } if prompt.user_code != old);
    let waiting = tokio::time::timeout(PATIENCE, progress.wait_for(is_new)).await.expect("a code comes");
    let Progress::Waiting { prompt, .. } = &*waiting.unwrap() else { unreachable!() };
    prompt.user_code.clone()
}

async fn end(progress: &mut Receiver<Progress>) -> Progress {
    let end = tokio::time::timeout(PATIENCE, progress.wait_for(Progress::has_ended)).await.expect("it ends");
    end.unwrap().clone()
}

/// How far a newcomer's code is, once it is so far.
pub async fn newcomer(sign_ins: &SignIns, fits: &dyn Fn(&Progress) -> bool) -> Progress {
    let looking = async {
        loop {
            match sign_ins.code_of(&Errand::Enrol, crate::browser::browser()).filter(|progress| fits(progress)) {
                Some(progress) => break progress,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it comes so far")
}

#[tokio::test]
async fn two_who_ask_for_one_account_see_one_code_and_its_end() {
    let world = World::new().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let sign_ins = tokens.sign_ins();
    let mut steps = sign_ins.steps();
    let (mut first, mut second) = (sign_ins.start(&name("alex")).unwrap(), sign_ins.start(&name("alex")).unwrap());
    let user_code = code(&mut first, "").await;
    assert_eq!((code(&mut second, "").await, world.cloud.pending_codes().len()), (user_code.clone(), 1));
    world.cloud.approve(&user_code, &upn("alex")).unwrap();
    let Progress::SignedIn(signed_in) = end(&mut second).await else { panic!() };
    assert_eq!(
        (&*signed_in.username, end(&mut first).await),
        ("alex@contoso.com", sign_ins.progress(&name("alex")).unwrap())
    );

    let mut seen = Vec::new();
    while let Ok(step) = steps.try_recv() {
        assert_eq!(step.account, name("alex"));
        seen.push(step.progress);
    }
    assert!(matches!(seen[..], [Progress::Starting, Progress::Waiting { .. }, Progress::SignedIn(_)]), "{seen:?}");
}

#[tokio::test]
async fn a_cancelled_code_leads_nowhere_and_the_next_one_is_another() {
    let world = World::new().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let sign_ins = tokens.sign_ins();
    let mut first = sign_ins.start(&name("alex")).unwrap();
    let cancelled = code(&mut first, "").await;
    assert!(sign_ins.cancel(&name("alex")) && !sign_ins.cancel(&name("alex")));
    assert_eq!(end(&mut first).await, Progress::Cancelled);

    let asked = world.asked();
    world.cloud.approve(&cancelled, &upn("alex")).unwrap();
    let mut second = sign_ins.start(&name("alex")).unwrap();
    let user_code = code(&mut second, "").await;
    assert_ne!(user_code, cancelled);
    let polled = move |calls: &[Call]| calls.iter().filter(|call| call.route == Route::Token).count() > asked;
    world.cloud.calls().wait_for(PATIENCE, polled).await.unwrap();
    assert!(world.store().await.grants().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_new_code_follows_one_that_expires() {
    let world = World::new().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let mut progress = tokens.sign_ins().start(&name("alex")).unwrap();
    let first = code(&mut progress, "").await;
    world.cloud.expire_codes();
    let second = code(&mut progress, &first).await;
    world.cloud.approve(&second, &upn("alex")).unwrap();
    assert!(matches!(end(&mut progress).await, Progress::SignedIn(_)));
}

#[tokio::test]
async fn a_code_ends_when_another_process_signs_the_account_in() {
    let world = World::new().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    tokens.access(&Principal::Account(name("alex"))).await.unwrap_err();
    let mut progress = tokens.sign_ins().start(&name("alex")).unwrap();
    code(&mut progress, "").await;
    world.sign_in(&world.start(&world.settings(&["alex"])).await, "alex").await.unwrap();
    tokens.reload(0).await.unwrap();
    assert_eq!(end(&mut progress).await, Progress::Cancelled);
}

#[tokio::test]
async fn who_fails_is_told_why_afterwards_too() {
    let world = World::new().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let mut progress = tokens.sign_ins().start(&name("alex")).unwrap();
    let user_code = code(&mut progress, "").await;
    world.cloud.approve(&user_code, &upn("kim")).unwrap();
    let Progress::Failed(trouble) = end(&mut progress).await else { panic!() };
    assert!(trouble.to_string().contains("kim@contoso.com"), "{trouble}");
    assert_eq!(tokens.sign_ins().progress(&name("alex")), Some(Progress::Failed(trouble)));
}

#[tokio::test]
async fn how_a_code_ended_is_forgotten_when_the_person_signs_in_otherwise() {
    let world = crate::browser::world().await;
    let settings = world.settings(&["alex"]);
    let (tokens, alex) = (world.start(&settings).await, name("alex"));
    let sign_ins = tokens.sign_ins();
    tokens.access(&Principal::Account(alex.clone())).await.unwrap_err();
    let fail = async || {
        let mut progress = sign_ins.start(&alex).unwrap();
        world.cloud.decline(&code(&mut progress, "").await).unwrap();
        assert!(matches!(end(&mut progress).await, Progress::Failed(_)));
    };
    fail().await;
    crate::browser::way(&tokens, "alex").await.unwrap();
    assert_eq!(sign_ins.progress(&alex), None);

    tokens.access(&Principal::Account(alex.clone())).await.unwrap();
    fail().await;
    world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    tokens.reload(0).await.unwrap();
    assert_eq!(sign_ins.progress(&alex), None, "another process signed alex in");
}

#[tokio::test]
async fn how_a_newcomers_code_ended_is_forgotten_when_they_enrol_in_the_browser() {
    let world = crate::browser::world().await;
    let accounts = "accounts:\n  alex: { user: alex@contoso.com }\nweb: { enrol: { tenants: [contoso.com] } }\n";
    let sign_ins = world.start(&world.settings_of(accounts, "")).await.sign_ins();
    let browser = crate::browser::browser();
    let until = async |fits: &dyn Fn(&Progress) -> bool| drop(newcomer(&sign_ins, fits).await);
    sign_ins.ask_for_code(Errand::Enrol, browser, crate::browser::HERE).unwrap();
    until(&|progress| matches!(progress, Progress::Waiting { .. })).await;
    world.cloud.decline(&world.cloud.pending_codes()[0]).unwrap();
    until(&|progress| matches!(progress, Progress::Failed(_))).await;
    crate::browser::enrol(&sign_ins, "kim").await.0.unwrap();
    assert_eq!(sign_ins.code_of(&Errand::Enrol, browser), None);
}

#[tokio::test]
async fn an_account_that_does_not_sign_in_is_refused_and_so_is_one_too_many() {
    let world = World::new().await;
    let names: Vec<String> = (0..33).map(|number| format!("p{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let tokens = world.start(&world.settings(&names)).await;
    let sign_ins = tokens.sign_ins();
    assert!(matches!(sign_ins.start(&name("nobody")), Err(Trouble::Misconfigured { .. })));
    for account in &names[..32] {
        sign_ins.start(&name(account)).unwrap();
    }
    let trouble = sign_ins.start(&name("p32")).unwrap_err();
    let is_told = |reason: &str| reason.contains("p32") && reason.contains("try again in 15 min");
    assert!(matches!(&trouble, Trouble::Retry { after: Some(_), reason } if is_told(reason)), "{trouble}");
    sign_ins.cancel(&name("p7"));
    sign_ins.start(&name("p32")).unwrap();
}

#[tokio::test]
async fn codes_at_which_nobody_looks_any_more_keep_nobody_out() {
    let world = World::new().await;
    let names: Vec<String> = (0..33).map(|number| format!("p{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let sign_ins = world.start(&world.settings(&names)).await.sign_ins();
    let waiting = sign_ins.start(&name("p0")).unwrap();
    let after = async |minutes: u64| {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(60 * minutes)).await;
        tokio::time::resume();
    };
    sign_ins.start(&name("p1")).unwrap();
    after(1).await;
    for account in &names[2..32] {
        sign_ins.start(&name(account)).unwrap();
    }
    after(13).await;
    assert!(sign_ins.progress(&name("p1")).is_some_and(|progress| !progress.has_ended()));
    let trouble = sign_ins.start(&name("p32")).unwrap_err();
    assert!(trouble.to_string().contains("try again in 2 min"), "{trouble}");
    after(2).await;
    sign_ins.start(&name("p32")).unwrap();
    let given_up = |account: &&&str| sign_ins.progress(&name(account)).unwrap().has_ended();
    let [left] = names[..32].iter().filter(given_up).collect::<Vec<_>>()[..] else { panic!("one is given up") };
    assert!(!["p0", "p1"].contains(left), "somebody looks at that one");
    let Some(Progress::Failed(trouble)) = sign_ins.progress(&name(left)) else { panic!() };
    assert!(trouble.to_string().contains("nobody used the codes"), "{trouble}");
    drop(waiting);
}

/// The monotonic clock alone: time passes, and nobody has waited.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_code_of_which_entra_could_not_be_asked_in_the_end_is_not_said_to_be_unused() {
    let world = World::new().await;
    world.cloud.adjust(|rules| rules.interval = Duration::from_secs(1));
    let accounts = "accounts:\n  alex: { user: alex@contoso.com }\nweb: { enrol: { tenants: [contoso.com] } }\n";
    let sign_ins = world.start(&world.settings_of(accounts, "")).await.sign_ins();
    world.cloud.fault(Fault::new("/oauth2/v2.0/token", What::status(503, "{}")));
    sign_ins.ask_for_code(Errand::Enrol, crate::browser::browser(), crate::browser::HERE).unwrap();
    let mut progress = sign_ins.start(&name("alex")).unwrap();
    let user_code = code(&mut progress, "").await;
    world.cloud.approve(&user_code, &upn("alex")).unwrap();
    newcomer(&sign_ins, &|progress| matches!(progress, Progress::Waiting { .. })).await;
    let asked = |calls: &[Call]| calls.iter().filter(|call| call.route == Route::Token).count() > 3;
    world.cloud.calls().wait_for(PATIENCE, asked).await.unwrap();
    pass(Duration::from_secs(901)).await;
    // Of a newcomer's, the first was the last.
    let end = newcomer(&sign_ins, &Progress::has_ended).await;
    let Progress::Failed(trouble @ Trouble::Retry { .. }) = end else { panic!("{end:?}") };
    for words in ["Entra cannot serve the request now (HTTP 503)", "begin again"] {
        assert!(trouble.to_string().contains(words), "{trouble}");
    }
    code(&mut progress, &user_code).await;
}

#[tokio::test]
async fn a_code_lives_by_the_monotonic_clock_wherever_the_wall_clock_is_set() {
    let world = World::new().await;
    world.cloud.adjust(|rules| rules.interval = Duration::from_secs(1));
    // Entra would take it for a quarter of an hour: it is this side that ends it after three seconds.
    let url = format!("{}/contoso.com/oauth2/v2.0/devicecode", world.cloud.authority());
    let form = [("client_id", CLIENT), ("scope", "openid profile offline_access Presence.Read")];
    let answer = http(PATIENCE).post(url).form(&form).send().await.unwrap();
    let mut details: serde_json::Value = answer.json().await.unwrap();
    details["expires_in"] = 3.into();
    world.cloud.fault(Fault::new("/devicecode", What::status(200, details.to_string())).times(1));
    let mut progress = world.start(&world.settings(&["alex"])).await.sign_ins().start(&name("alex")).unwrap();
    let user_code = code(&mut progress, "").await;
    let asked = |calls: &[Call]| calls.iter().any(|call| call.route == Route::Token);
    world.cloud.calls().wait_for(PATIENCE, asked).await.unwrap();
    world.cloud.approve(&user_code, &upn("alex")).unwrap();
    tokio::time::pause();
    // What the wall clock does meanwhile, the monotonic one does not.
    std::thread::sleep(Duration::from_millis(3_100));
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    assert!(matches!(end(&mut progress).await, Progress::SignedIn(_)));
}
