//! Graph's limit, which is kept from this side: 1,500 presence calls in 30 s for each application and tenant.

use std::collections::HashMap;
use std::time::Duration;

use graph2mqtt::simulator::{Call, Fault, What};

use super::installation::Installation;

#[tokio::test]
async fn a_refusal_of_graph_pauses_the_whole_tenant_for_the_time_that_it_names() {
    let people = ["alex", "sam", "kim"];
    let installation = Installation::with(&people).await;
    let observer = installation.observe().await;
    let (bridge, _) = installation.run(&people).await;
    installation.until_online(&observer).await;
    installation.cloud.fault(Fault::new("/me/presence", What::retry_after(429, 3)).times(1));
    installation
        .cloud
        .calls()
        .wait_for(Duration::from_secs(10), |calls| calls.iter().any(|call| call.status == Some(429)))
        .await
        .unwrap();
    installation.more_polls(3).await;
    let polls = installation.polls();
    let refused = polls.iter().find(|call| call.status == Some(429)).unwrap();
    // What was on its way at that moment was asked already.
    let early = |call: &&Call| {
        call.at > refused.answered + Duration::from_millis(100) && call.at < refused.answered + Duration::from_secs(3)
    };
    assert_eq!(polls.iter().filter(early).count(), 0);
    assert_eq!(bridge.monitor.snapshot().throttled, 1);
    assert_eq!(observer.newest()["g/account/alex/state"], "online");
    bridge.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_that_want_more_than_graph_allows_share_it_fairly() {
    const PEOPLE: usize = 1_000;
    const LIMIT: (usize, Duration) = (1_500, Duration::from_secs(30));
    let people: Vec<String> = (0..PEOPLE).map(|number| format!("p{number}")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let installation = Installation::with(&people).await;
    let yaml = installation.yaml(&people, "").replace("active: 1s, quiet: 1s", "active: 5s, quiet: 5s");
    installation.sign_in(&yaml, &people).await;
    let bridge = installation.start(&yaml).await;
    // 200 calls a second are wanted, and 46.7 are made.
    for _ in 0..2 {
        installation.more_polls(PEOPLE + 10).await;
    }
    let polls = installation.polls();
    bridge.stop().await;
    assert!(polls.iter().all(|call| call.status == Some(200)));
    let mut turns: HashMap<&str, usize> = HashMap::new();
    for call in &polls {
        *turns.entry(call.principal.as_deref().unwrap_or_default()).or_default() += 1;
    }
    assert_eq!(turns.len(), PEOPLE, "somebody had no turn");
    assert!(turns.values().all(|count| (2..=3).contains(count)), "{turns:?}");
    for window in polls.windows(LIMIT.0 + 1) {
        let took = window[LIMIT.0].at - window[0].at;
        assert!(took > LIMIT.1, "{} calls within {took:?}", LIMIT.0 + 1);
    }
}
