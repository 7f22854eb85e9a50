//! How a hub stands, by its last answer: kept for people, who see it on the page.

use super::super::certificate::{Against, Contact, Verifier};
use super::{HueHub, lock};
use crate::lights::{Condition, Standing, Trouble};

impl HueHub {
    /// How it stands, by what was last asked of it.
    pub(in crate::lights::hue) fn standing(&self) -> Standing {
        lock(&self.standing).clone()
    }

    /// Somebody paired it, from within this process: it is tried again at once. What it refused before says
    /// nothing of it any more.
    pub(in crate::lights::hue) fn was_paired(&self) {
        let mut standing = lock(&self.standing);
        if standing.condition.wants_pairing() {
            *standing = Standing::default();
        }
        drop(standing);
        self.stir.notify_one();
    }

    /// Comes back when the key was refused, or somebody paired it: what was begun with a key is begun anew.
    pub(in crate::lights::hue) async fn stirred(&self) {
        self.stir.notified().await;
    }

    /// Remembers what an outcome says of the hub, and passes it on.
    pub(super) fn noted<T>(&self, verifier: Option<&Verifier>, outcome: Result<T, Trouble>) -> Result<T, Trouble> {
        match &outcome {
            Ok(_) => self.stands(Condition::Well, None),
            // It answered; what is wrong is one light.
            Err(Trouble::Light { .. }) => {}
            Err(trouble @ Trouble::Stop { .. }) => {
                let refused = !lock(&self.refused).is_empty();
                self.stands(if refused { Condition::KeyRefused } else { Condition::NoKey }, Some(trouble));
            }
            Err(trouble @ Trouble::Hub { .. }) => {
                let condition = match verifier.map(Verifier::contact) {
                    Some(Contact::Unanswered) => Condition::Unreachable,
                    Some(Contact::Refused(against)) => {
                        self.part();
                        match against {
                            Against::Changed => Condition::CertificateChanged,
                            Against::Another => Condition::AnotherHub,
                        }
                    }
                    Some(Contact::Answered) | None => Condition::Odd,
                };
                self.stands(condition, Some(trouble));
            }
        }
        outcome
    }

    pub(super) fn stands(&self, condition: Condition, trouble: Option<&Trouble>) {
        *lock(&self.standing) = Standing { condition, reason: trouble.map(ToString::to_string) };
    }

    /// The connection holds to a certificate that the hub shows no more: the next one asks the store which is
    /// right by now.
    fn part(&self) {
        // While a connection is made, nothing is kept that would have to go.
        if let Ok(mut link) = self.link.try_lock() {
            *link = None;
        }
    }
}
