//! Whose token is whose: with a thousand accounts at once, in the program's store and in another storage.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use graph2mqtt::entra::{Answer, Caches, Errand, Principal, Tokens};
use graph2mqtt::presence::{AccountName, ObjectId};
use graph2mqtt::settings::Settings;
use graph2mqtt::store::{Enrolment, Grant, Held, Holder, Origin, Standing, StoreError};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::world::{CLIENT, World, http, name, person, upn};

const PEOPLE: usize = 1_000;

/// Caches in memory.
#[derive(Default)]
struct Memory(Mutex<HashMap<AccountName, Grant>>, Mutex<HashMap<String, SecretString>>);

impl Memory {
    fn holders(&self, fits: impl Fn(&Grant) -> bool) -> Vec<Holder> {
        let holder = |grant: &Grant| Holder {
            account: grant.account.clone(),
            id: grant.id.clone(),
            origin: grant.origin,
            tenant_id: grant.tenant_id,
            object_id: grant.object_id,
            username: grant.username.clone(),
        };
        self.0.lock().unwrap().values().filter(|grant| fits(grant)).map(holder).collect()
    }
}

impl Caches for Memory {
    fn read<'a>(&'a self, account: &'a AccountName) -> Answer<'a, Option<Grant>> {
        Box::pin(async { Ok(self.0.lock().unwrap().get(account).cloned()) })
    }

    fn put(&self, grant: Grant) -> Answer<'_, Grant> {
        Box::pin(async move {
            let grant = Grant { id: format!("{:032x}", fastrand::u128(..)), version: 1, ..grant };
            self.0.lock().unwrap().insert(grant.account.clone(), grant.clone());
            Ok(grant)
        })
    }

    fn save<'a>(&'a self, grant: &'a Grant) -> Answer<'a, i64> {
        Box::pin(async {
            let mut all = self.0.lock().unwrap();
            let kept =
                all.get_mut(&grant.account).filter(|kept| (&kept.id, kept.version) == (&grant.id, grant.version));
            let kept = kept.ok_or(StoreError::Conflict)?;
            *kept = Grant { version: grant.version + 1, ..grant.clone() };
            Ok(kept.version)
        })
    }

    fn mark<'a>(&'a self, _: &'a str, _: &'a Standing) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn remove<'a>(&'a self, account: &'a AccountName) -> Answer<'a, Option<Origin>> {
        Box::pin(async { Ok(self.0.lock().unwrap().remove(account).map(|grant| grant.origin)) })
    }

    fn hold<'a>(&'a self, cache: &'a SecretString, _: Timestamp, _: Timestamp) -> Answer<'a, Held> {
        Box::pin(async {
            let held = Held::random();
            self.1.lock().unwrap().insert(held.id().to_owned(), cache.clone());
            Ok(held)
        })
    }

    fn enrol(&self, held: Held, person: Enrolment, _: Timestamp) -> Answer<'_, Grant> {
        Box::pin(async move {
            let cache = self.1.lock().unwrap().remove(held.id()).ok_or(StoreError::Conflict)?;
            let account: AccountName = person.object_id.as_str().parse().unwrap();
            let grant = Grant {
                id: held.id().to_owned(),
                account: account.clone(),
                origin: Origin::Enrolled,
                tenant_id: person.tenant_id,
                object_id: person.object_id,
                username: person.username,
                user: person.object_id.as_str().to_owned(),
                confidential: person.confidential,
                version: 1,
                refreshed_at: person.granted_at,
                standing: Standing::Ok,
                cache,
            };
            self.0.lock().unwrap().insert(account, grant.clone());
            Ok(grant)
        })
    }

    fn release(&self, held: Held) -> Answer<'_, ()> {
        self.1.lock().unwrap().remove(held.id());
        Box::pin(async { Ok(()) })
    }

    fn holder<'a>(&'a self, account: &'a AccountName) -> Answer<'a, Option<Holder>> {
        Box::pin(async move { Ok(self.holders(|grant| grant.account == *account).pop()) })
    }

    fn configured_holder(&self, person: ObjectId) -> Answer<'_, Option<Holder>> {
        let fits = move |grant: &Grant| grant.object_id == person && grant.origin == Origin::Configured;
        Box::pin(async move { Ok(self.holders(fits).pop()) })
    }

    fn enrolled_tenants(&self) -> Answer<'_, Vec<ObjectId>> {
        let enrolled = |grant: &Grant| grant.origin == Origin::Enrolled;
        let mut tenants: Vec<_> = self.holders(enrolled).into_iter().map(|holder| holder.tenant_id).collect();
        tenants.dedup();
        Box::pin(async move { Ok(tenants) })
    }
}

/// A thousand people of the tenant, and the settings that name them.
fn crowd(world: &World) -> (Vec<(String, ObjectId)>, Settings) {
    let names = (0..PEOPLE).map(|number| format!("person{number}"));
    let people: Vec<_> = names.map(|name| (name.clone(), world.cloud.add_person(&upn(&name), &name))).collect();
    let settings = world.settings(&people.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>());
    (people, settings)
}

/// What the person's sign-in would have left, its access token used up.
pub fn grant(world: &World, account: &str, object_id: ObjectId) -> Grant {
    let answer = world.cloud.sign_in(CLIENT, &upn(account), "openid profile offline_access Presence.Read");
    let cache = json!({
        "refresh_token": answer["refresh_token"], "access_token": "used up", "permissions": ["Presence.Read"],
        "obtained_at": "2020-01-01T00:00:00Z", "expires_at": "2020-01-01T01:00:00Z",
    });
    Grant {
        id: String::new(),
        account: name(account),
        origin: Origin::Configured,
        tenant_id: object_id,
        object_id,
        username: upn(account),
        user: upn(account),
        confidential: false,
        version: 0,
        refreshed_at: jiff::Timestamp::UNIX_EPOCH,
        standing: Standing::Ok,
        cache: cache.to_string().into(),
    }
}

/// Everybody's token is asked for at once, several times over; Graph then says whose it is.
async fn everybody_gets_their_own(world: &World, tokens: &Tokens, people: &[(String, ObjectId)]) {
    let principals: Vec<Principal> = people.iter().map(|(name, _)| person(name)).collect();
    let asked = world.asked();
    let twice = principals.iter().chain(principals.iter().rev());
    let mut all = join_all(twice.map(|who| tokens.access(who))).await;
    assert_eq!(world.asked() - asked, people.len(), "one refresh for each account");
    let (http, url) = (http(std::time::Duration::from_secs(30)), format!("{}/me/presence", world.cloud.graph()));
    let second = all.split_off(people.len());
    let whose = stream::iter(all.iter().zip(second.iter().rev()).zip(people)).map(|((one, other), (name, id))| {
        let (one, other) = (one.as_ref().unwrap(), other.as_ref().unwrap());
        assert_eq!(one.generation, other.generation, "{name}");
        let request = http.get(&url).bearer_auth(one.secret.expose_secret()).send();
        async move {
            let presence: Value = request.await.unwrap().json().await.unwrap();
            assert_eq!(presence["id"], id.as_str(), "{name} was handed another's token");
        }
    });
    whose.buffer_unordered(32).collect::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_accounts_that_refresh_at_once_nobody_is_handed_anothers_token() {
    let world = World::new().await;
    let (people, settings) = crowd(&world);
    let store = world.store().await;
    for (name, id) in &people {
        store.put_grant(grant(&world, name, *id)).await.unwrap();
    }
    everybody_gets_their_own(&world, &world.start(&settings).await, &people).await;
    // What was saved is everybody's own as well: another process goes on with it.
    for (name, id) in people.iter().step_by(97) {
        let kept = store.grant(&crate::world::name(name)).await.unwrap().unwrap();
        let cache: Value = serde_json::from_str(kept.cache.expose_secret()).unwrap();
        assert_eq!((kept.version, kept.object_id), (2, *id));
        let token = world.start(&settings).await.access(&person(name)).await.unwrap();
        assert_eq!(token.secret.expose_secret(), cache["access_token"].as_str().unwrap());
        assert_eq!(world.whose(&token).await, id.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_storage_of_caches_can_be_swapped() {
    let world = World::new().await;
    let (people, settings) = crowd(&world);
    let memory = Arc::new(Memory::default());
    for (name, id) in &people {
        memory.put(grant(&world, name, *id)).await.unwrap();
    }
    let store = world.store().await;
    let tokens =
        Tokens::over(&settings, http(std::time::Duration::from_secs(30)), store.clone(), memory.clone()).unwrap();
    everybody_gets_their_own(&world, &tokens, &people).await;
    assert!(memory.0.lock().unwrap().values().all(|grant| grant.version == 2));
    assert!(store.grants().await.unwrap().is_empty(), "the store was written all the same");
}

#[tokio::test]
async fn who_enrols_is_kept_in_that_storage_alone_until_they_leave() {
    let world = crate::browser::world().await;
    let settings = world.settings_of("web: { enrol: { tenants: [contoso.com] } }\n", "");
    let (store, memory) = (world.store().await, Arc::new(Memory::default()));
    let http = http(std::time::Duration::from_secs(15));
    let tokens = Tokens::over(&settings, http, store.clone(), memory.clone()).unwrap();
    let sign_ins = tokens.sign_ins();
    let sam = crate::browser::enrol(&sign_ins, "sam").await.0.unwrap();
    let kim = crate::browser::enrol(&sign_ins, "kim").await.0.unwrap();
    let token = tokens.access(&Principal::Account(sam.account.clone())).await.unwrap();
    assert_eq!(world.whose(&token).await, sam.object_id.as_str());
    assert!(store.grants().await.unwrap().is_empty(), "the store was written all the same");

    assert!(sign_ins.may_leave().await.unwrap());
    crate::browser::go(&sign_ins, Errand::Leave, "sam").await.0.unwrap();
    assert_eq!(tokens.remove(&kim.account).await.unwrap(), Some(Origin::Enrolled));
    assert!(memory.0.lock().unwrap().is_empty() && memory.1.lock().unwrap().is_empty());
    assert!(tokens.access(&Principal::Account(sam.account)).await.is_err());
    crate::browser::go(&sign_ins, Errand::Enrol, "sam").await.0.unwrap();
}
