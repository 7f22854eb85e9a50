//! What mends itself: another key, another address.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::client::Client;
use super::super::find::{self, HTTP, HTTPS};
use super::{Acquaintance, HueHub, Link, lock};
use crate::lights::hue::v2::resources::Directory;
use crate::lights::{Condition, Trouble};

/// How often it is looked whether somebody paired.
const KEY_LOOK: Duration = Duration::from_secs(5);

/// Whether a host, which may be a name, is at an address that was found; `port` where they have none.
async fn is_same(host: &str, found: &str, port: u16) -> bool {
    let (host, found) = (find::sockets(host, port).await, find::sockets(found, port).await);
    host.iter().any(|it| found.contains(it))
}

/// A connected hub, and what it holds.
type Reached = Result<(Arc<Link>, Arc<Directory>), Trouble>;

impl HueHub {
    /// Comes back when there is a key to try again.
    pub(in crate::lights::hue) async fn mended(&self) {
        loop {
            if matches!(self.acquaintance().await, Ok(Acquaintance { key: Some(_), .. })) {
                tracing::info!(hub = self.name, "there is an application key; the hub is tried again");
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(KEY_LOOK) => {}
                () = self.stirred() => {}
            }
        }
    }

    /// Comes back when what kept us from the hub may be over: it was paired here, or, where its certificate was
    /// refused, by another process.
    pub(in crate::lights::hue) async fn may_be_mended(&self) {
        if self.standing().condition != Condition::CertificateChanged {
            return self.stirred().await;
        }
        let refused = self.kept_pin().await;
        loop {
            tokio::select! {
                () = tokio::time::sleep(KEY_LOOK) => {}
                () = self.stirred() => return,
            }
            if self.kept_pin().await != refused {
                return;
            }
        }
    }

    /// The certificate that it is held to now.
    async fn kept_pin(&self) -> Option<[u8; 32]> {
        let id = self.acquaintance().await.ok()?.id?;
        self.store.hub_pin(&id).await.ok().flatten()
    }

    /// Looks for a hub of known id elsewhere on the network, and connects there; none where nobody else says that
    /// it is this hub. Who says so and is not is left again.
    pub(in crate::lights::hue) async fn relocate(&self) -> Option<Reached> {
        let Ok(Acquaintance { id: Some(id), host, .. }) = self.acquaintance().await else { return None };
        let found = super::super::locate(&id).await?;
        if is_same(&host, &found, if self.is_plain() { HTTP } else { HTTPS }).await {
            return None;
        }
        let before = lock(&self.moved).replace(found.clone());
        *self.link.lock().await = None;
        let reached = self.session().await;
        if let Err(trouble @ Trouble::Hub { .. }) = &reached {
            tracing::debug!(hub = self.name, id, at = found, "not the hub that it says it is: {trouble}");
            *lock(&self.moved) = before;
            *self.link.lock().await = None;
            return Some(reached);
        }
        tracing::info!(
            hub = self.name,
            id,
            from = host,
            to = found,
            "the hub has another address; should it stay, correct hubs.{}.host",
            self.name
        );
        if let Err(error) = self.store.set_hub_host(&id, &self.settings.host, &found).await {
            tracing::debug!(hub = self.name, "the new address is not kept: {error}");
        }
        Some(reached)
    }

    /// Where the hub was found by an earlier process is tried before the configured address, once: it is a hint,
    /// and whoever answers there proves who they are as ever. Answers whether there is one.
    pub(super) async fn recall(&self) -> bool {
        if self.is_plain() || self.recalled.load(Ordering::Relaxed) {
            return false;
        }
        // Without a key nothing is tried there, and so nothing is learned.
        let Ok(Acquaintance { id: Some(id), key: Some(_), .. }) = self.acquaintance().await else { return false };
        if self.recalled.swap(true, Ordering::Relaxed) {
            return false;
        }
        let Ok(Some(host)) = self.store.hub_host(&id, &self.settings.host).await else { return false };
        lock(&self.moved).get_or_insert(host);
        true
    }

    /// By plain http nobody proves who they are; but whoever says themselves that they are another hub are not given
    /// the key, such as when the router gave its address away. Where a hub was found after it had moved, its id is to
    /// be told.
    pub(super) async fn ask_who_it_is(&self, client: &Client, id: &str) -> Result<(), Trouble> {
        let told = find::told_by(client).await?.and_then(|told| told.id);
        match told {
            Some(there) if there.eq_ignore_ascii_case(id) => Ok(()),
            Some(there) => Err(self.is_another(&there, id)),
            None if lock(&self.moved).is_none() => Ok(()),
            None => Err(self.not_a_hub("it does not tell its bridge id")),
        }
    }

    /// The hub is not where it was found last.
    pub(super) fn forget_move(&self, trouble: &Trouble) {
        let was = lock(&self.moved).take();
        tracing::debug!(hub = self.name, at = was, "no more where it was found last: {trouble}");
    }

    /// The hub answers at the configured address again.
    pub(super) async fn is_back_home(&self) {
        let Ok(Acquaintance { id: Some(id), .. }) = self.acquaintance().await else { return };
        if let Err(error) = self.store.forget_hub_host(&id).await {
            tracing::debug!(hub = self.name, "where it was found before is still kept: {error}");
        }
    }

    /// Connects, wherever the hub is now.
    pub(in crate::lights::hue) async fn reach(&self) -> Reached {
        match self.session().await {
            Err(trouble @ Trouble::Hub { .. }) => self.relocate().await.unwrap_or(Err(trouble)),
            session => session,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_the_same_however_it_is_written() {
        let table = [
            ("192.168.1.20", "192.168.1.20", true),
            ("192.168.1.20:443", "192.168.1.20", true),
            ("192.168.1.20", "192.168.1.20:8443", false),
            ("192.168.1.20", "192.168.1.21", false),
            ("localhost:8443", "127.0.0.1:8443", true),
            ("[fe80::1]:443", "[fe80::1]", true),
            ("no-such-hub.invalid", "192.168.1.20", false),
        ];
        for (host, found, same) in table {
            assert_eq!(is_same(host, found, HTTPS).await, same, "{host} and {found}");
        }
        assert!(is_same("192.168.1.20", "192.168.1.20:80", HTTP).await, "of a hub that speaks plain http");
    }
}
