//! Which subscriptions were asked for and answered, and whether the broker shares messages out.
//!
//! A message of a shared subscription (`$share/<group>/<filter>`) is told from the same one by a plain
//! subscription by MQTT 5's subscription identifier, which stands in a SUBSCRIBE for all of its filters.

use rumqttc::v5::mqttbytes::v5::{ConnAck, Filter, Publish, SubAck, SubscribeProperties};

use super::trouble::Answer;
use super::{Subscription, dialect};

/// Filters in one SUBSCRIBE: far below any broker's limit on a packet.
const FILTERS: usize = 100;
/// The identifier of shared subscriptions; plain ones have none.
const SHARED: usize = 1;

pub(super) struct Subscribing<'a> {
    all: &'a [Subscription],
    asked: usize,
    answered: usize,
    /// Whether the broker shares out, as far as is known.
    shares: bool,
}

/// One SUBSCRIBE.
pub(super) struct Request {
    pub filters: Vec<Filter>,
    pub properties: Option<SubscribeProperties>,
}

impl<'a> Subscribing<'a> {
    pub fn new(all: &'a [Subscription], shares: bool) -> Self {
        let mut subscribing = Self { all, asked: 0, answered: 0, shares };
        subscribing.pass_over();
        subscribing
    }

    /// Whether a broker has shared subscriptions, and says of a message by which one it came.
    pub fn can_share(ack: &ConnAck) -> bool {
        let given = |property: Option<u8>| property != Some(0);
        ack.properties.as_ref().is_none_or(|properties| {
            given(properties.shared_subscription_available) && given(properties.subscription_identifiers_available)
        })
    }

    /// Shared subscriptions are not asked of a broker that has none: it would end the connection.
    fn pass_over(&mut self) {
        while self.asked == self.answered
            && !self.shares
            && self.all.get(self.asked).is_some_and(Subscription::is_shared)
        {
            self.asked += 1;
            self.answered += 1;
        }
    }

    /// Whether there is a request to be made now: one at a time.
    pub fn is_due(&self) -> bool {
        self.asked < self.all.len() && self.asked == self.answered
    }

    pub fn is_done(&self) -> bool {
        self.answered == self.all.len()
    }

    /// The next request: filters of one kind.
    pub fn next(&mut self) -> Request {
        let rest = &self.all[self.asked..];
        let shared = rest[0].is_shared();
        let alike = rest.iter().take(FILTERS).take_while(|next| next.is_shared() == shared);
        let filters: Vec<Filter> = alike.map(dialect::filter).collect();
        self.asked += filters.len();
        let properties = shared.then(|| SubscribeProperties { id: Some(SHARED), user_properties: Vec::new() });
        Request { filters, properties }
    }

    /// Requests are answered one after the other, so the answer is to the last one asked. Answers with
    /// what was refused.
    pub fn answered(&mut self, ack: &SubAck) -> Vec<(&'a str, Answer)> {
        let all = self.all;
        let asked = all[self.answered..self.asked].iter().zip(&ack.return_codes);
        let refused = asked.filter_map(|(subscription, code)| Some((subscription, Answer::of_subscribe(*code)?)));
        let refused: Vec<_> = refused.collect();
        self.shares &= !refused.iter().any(|(subscription, _)| subscription.is_shared());
        self.answered = self.asked;
        self.pass_over();
        refused.into_iter().map(|(subscription, answer)| (subscription.filter.as_str(), answer)).collect()
    }

    /// Whether a message was given to us to act upon first.
    pub fn was_given(&self, publish: &Publish) -> bool {
        let by_share = |ids: &[usize]| ids.contains(&SHARED);
        let shared = publish.properties.as_ref().is_some_and(|given| by_share(&given.subscription_identifiers));
        if self.shares { shared } else { !publish.retain }
    }
}

impl Subscription {
    /// Whether it is shared with the other members of a group: `$share/<group>/<filter>`.
    pub fn is_shared(&self) -> bool {
        self.filter.starts_with("$share/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscriptions(filters: &[&str]) -> Vec<Subscription> {
        filters.iter().map(|filter| Subscription { filter: (*filter).into(), qos: 1, no_local: false }).collect()
    }

    fn asked(subscribing: &mut Subscribing<'_>) -> Vec<(usize, bool)> {
        let mut requests = Vec::new();
        while subscribing.is_due() {
            let Request { filters, properties } = subscribing.next();
            requests.push((filters.len(), properties.is_some()));
            subscribing.answered(&SubAck { pkid: 1, return_codes: Vec::new(), properties: None });
        }
        assert!(subscribing.is_done());
        requests
    }

    #[test]
    fn shared_and_plain_filters_never_stand_in_one_request() {
        let all = subscriptions(&["a", "b", "$share/home/a", "c"]);
        assert_eq!(asked(&mut Subscribing::new(&all, true)), [(2, false), (1, true), (1, false)]);
        let many = subscriptions(&["a"; 250]);
        assert_eq!(asked(&mut Subscribing::new(&many, true)), [(100, false), (100, false), (50, false)]);
    }

    #[test]
    fn a_broker_that_shares_nothing_out_is_not_asked_to() {
        let all = subscriptions(&["$share/home/a", "a", "$share/home/b", "$share/home/c"]);
        assert_eq!(asked(&mut Subscribing::new(&all, false)), [(1, false)]);
        let only_shared = &all[2..];
        assert!(Subscribing::new(only_shared, false).is_done());
    }
}
