//! How it stands with the application's own right.

use super::Home;
use crate::store::Standing;

fn blocked(reason: &str) -> Standing {
    Standing::Blocked { reason: reason.to_owned(), remedy: None }
}

#[tokio::test]
async fn what_is_not_well_is_told_by_application_and_tenant_until_it_is_well_again() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    let needed = Standing::Needed { reason: "ask".into(), remedy: Some("there".into()), claims: None };
    for (client_id, tenant, standing) in [
        ("one", "contoso.com", blocked("expired")),
        ("one", "contoso.com", blocked("wrong")),
        ("one", "fabrikam.com", needed.clone()),
        ("one", "northwind.com", Standing::Ok),
        ("two", "contoso.com", blocked("unknown")),
    ] {
        store.mark_application(client_id, tenant, &standing).await.unwrap();
    }
    drop(store);
    let store = home.open().await.unwrap();
    let one = store.applications("one").await.unwrap();
    assert_eq!(one, [("contoso.com".into(), blocked("wrong")), ("fabrikam.com".into(), needed)].into());
    store.mark_application("one", "contoso.com", &Standing::Ok).await.unwrap();
    assert!(!store.applications("one").await.unwrap().contains_key("contoso.com"));
    assert_eq!(store.applications("two").await.unwrap().len(), 1);
}
