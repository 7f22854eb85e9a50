//! Entra's errors as data: what `error` and `suberror` mean for the caller, and the words for AADSTS numbers.
//!
//! Source: Microsoft's "Microsoft Entra authentication & authorization error codes" and the OAuth 2.0
//! pages of the identity platform.

/// The application is a public client here, and shows no credential: its redirect URI stands under "Mobile and
/// desktop applications", or public client flows are allowed and it is a device code.
pub(super) const PUBLIC: u32 = 700_025;

/// In a code's words: where the application's secret stands.
pub(super) const SECRET: &str = "{secret}";

/// What stands there for those who are not to know.
pub(super) const SOME_SECRET: &str = "the application's secret";

/// The application is a confidential client here, and shows its credential.
pub(super) const CONFIDENTIAL: u32 = 7_000_218;

/// The code was redeemed already.
pub(super) const REDEEMED: u32 = 54_005;

/// Entra took too long: whether the request had its effect, nobody knows.
const TIMED_OUT: u32 = 90_012;

/// In the place of a `suberror`: the `error_subcode` of who turns back on one of Entra's pages.
pub(super) const CANCEL: &str = "cancel";

/// What an error comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    SignIn,
    Consent,
    /// The person came back from Entra's pages without having signed in. It may have asked for an administrator's
    /// approval there: then it has nothing but the way back, and Entra does not tell which it was.
    TurnedBack,
    Blocked,
    Misconfigured,
    Retry,
    /// A request loop was detected (50196): whoever asks on is blocked longer.
    RetryMuchLater,
}

/// What the protocol's `error` decides. Those that leave it open are not here.
const ERRORS: &[(&str, Kind)] = &[
    ("consent_required", Kind::Consent),
    ("authorization_declined", Kind::SignIn),
    ("invalid_client", Kind::Misconfigured),
    ("unauthorized_client", Kind::Misconfigured),
    ("invalid_request", Kind::Misconfigured),
    ("invalid_scope", Kind::Misconfigured),
    ("invalid_resource", Kind::Misconfigured),
    ("unsupported_grant_type", Kind::Misconfigured),
    (UNAVAILABLE, Kind::Retry),
    ("server_error", Kind::Retry),
    ("slow_down", Kind::Retry),
];

/// What is meant where neither an `error` or `suberror` of the tables above nor a number says more.
const OPEN: &[(&str, Kind)] = &[
    (CANCEL, Kind::TurnedBack),
    ("invalid_grant", Kind::SignIn),
    ("interaction_required", Kind::SignIn),
    ("login_required", Kind::SignIn),
    ("access_denied", Kind::SignIn),
    ("permission_denied", Kind::SignIn),
    ("expired_token", Kind::SignIn),
    ("bad_verification_code", Kind::SignIn),
];

/// What `suberror` adds to an `error` that leaves it open.
const SUBERRORS: &[(&str, Kind)] = &[
    ("consent_required", Kind::Consent),
    ("message_only", Kind::Blocked),
    ("additional_action", Kind::Blocked),
    ("basic_action", Kind::SignIn),
    ("bad_token", Kind::SignIn),
    ("user_password_expired", Kind::SignIn),
];

/// An AADSTS number: the words, and what it is usually about.
pub(super) struct Code {
    number: u32,
    usually: Kind,
    /// A sentence for people, without its full stop.
    pub words: &'static str,
}

impl Code {
    /// Whether it is about the person or the application, whichever way somebody signs in.
    pub(super) fn shuts_every_way(&self) -> bool {
        SHUT.contains(&self.number)
    }

    /// Whether it goes by itself.
    fn passes(&self) -> bool {
        self.usually == Kind::Retry
    }

    /// Whether the configuration or the registration has to be changed.
    pub(super) fn is_of_configuration(&self) -> bool {
        self.usually == Kind::Misconfigured
    }
}

/// Blocked by whichever way, until an administrator does something.
const SHUT: &[u32] = &[50105, 53002, 53011, 530034];

const fn code(number: u32, usually: Kind, words: &'static str) -> Code {
    Code { number, usually, words }
}

const CODES: &[Code] = &[
    code(50034, Kind::SignIn, "this person does not exist in the tenant"),
    code(50055, Kind::SignIn, "the password has expired and must be changed"),
    code(50057, Kind::SignIn, "the account is disabled; an administrator can enable it"),
    code(50072, Kind::SignIn, "more factors are asked for, and have to be set up"),
    code(50074, Kind::SignIn, "more factors are asked for"),
    code(50076, Kind::SignIn, "more factors are asked for"),
    code(50078, Kind::SignIn, "the proof of more factors has expired"),
    code(50079, Kind::SignIn, "more factors are asked for, and have to be set up"),
    code(50132, Kind::SignIn, "the sign-in was revoked, as after a change of the password"),
    code(50133, Kind::SignIn, "the sign-in was revoked, as after a change of the password"),
    code(50173, Kind::SignIn, "the sign-in was revoked, by an administrator or a new password"),
    code(REDEEMED, Kind::SignIn, "the code was used already"),
    code(70000, Kind::SignIn, "the sign-in is not valid any more"),
    code(70008, Kind::SignIn, "the sign-in has expired because it was not used"),
    code(70017, Kind::SignIn, "the person declined"),
    code(70018, Kind::SignIn, "the device code is not known"),
    code(70020, Kind::SignIn, "the device code has expired"),
    code(70043, Kind::SignIn, "a policy asks for a new sign-in from time to time, and its time has come"),
    code(700005, Kind::SignIn, "the code is for another tenant than the one where it was shown"),
    code(700020, Kind::SignIn, "the sign-in is not valid any more"),
    code(700082, Kind::SignIn, "the sign-in has expired because it was not used for 90 days"),
    code(65001, Kind::Consent, "nobody has consented that the application may read this"),
    code(65004, Kind::Consent, "the person declined to consent"),
    code(90094, Kind::Consent, "only an administrator may consent"),
    code(7000215, Kind::Misconfigured, "{secret} is wrong: enter the secret's value, not its id"),
    code(7000222, Kind::Misconfigured, "{secret} has expired: make a new one under Certificates & secrets"),
    code(
        700016,
        Kind::Misconfigured,
        "the tenant does not know the application: check entra.client_id and the tenant; for people of another tenant than \
         its own, choose multitenant under Authentication, Supported account types",
    ),
    code(
        700027,
        Kind::Misconfigured,
        "the certificate is not registered with the application, or has expired: upload it under Certificates & secrets",
    ),
    code(700024, Kind::Misconfigured, "the assertion is out of its time: is this machine's clock right?"),
    code(700023, Kind::Misconfigured, "the assertion is for another authority: check entra.authority and entra.cloud"),
    code(
        700211,
        Kind::Misconfigured,
        "the application does not trust the token's issuer: check its federated credential",
    ),
    code(
        700212,
        Kind::Misconfigured,
        "the application does not trust the token's audience: check its federated credential",
    ),
    code(
        700213,
        Kind::Misconfigured,
        "the application does not trust the token's subject: add a federated credential for it under Certificates & secrets",
    ),
    code(
        7002131,
        Kind::Misconfigured,
        "the application has no federated credential for the token's subject: add one under Certificates & secrets",
    ),
    code(70021, Kind::Misconfigured, "the application has no federated credential for the token"),
    code(50013, Kind::Misconfigured, "the assertion's signature is not right"),
    code(
        CONFIDENTIAL,
        Kind::Misconfigured,
        "the application asks for a secret: set entra.client_secret, or allow public client flows under Authentication; \
         for the browser, register the redirect URI under \"Mobile and desktop applications\" instead of \"Web\"",
    ),
    code(
        PUBLIC,
        Kind::Misconfigured,
        "the application is a public client and takes no credential: remove the one under entra, or register a web platform",
    ),
    code(
        90002,
        Kind::Misconfigured,
        "there is no such tenant: check entra.tenant (and the account's), and entra.cloud",
    ),
    code(
        90038,
        Kind::Misconfigured,
        "the tenant is of another cloud: set entra.cloud to us_government, us_government_dod or china",
    ),
    code(900382, Kind::Misconfigured, "the application or the tenant is of another cloud: check entra.cloud"),
    code(50059, Kind::Misconfigured, "the request names no tenant: set entra.tenant to a domain or id"),
    code(
        50194,
        Kind::Misconfigured,
        "the application is registered for one tenant: set entra.tenant to it instead of organizations; for people of \
         several tenants, choose multitenant under Authentication, Supported account types",
    ),
    code(
        50011,
        Kind::Misconfigured,
        "the redirect URI is not registered with the application: add it under Authentication, letter by letter",
    ),
    code(
        500112,
        Kind::Misconfigured,
        "the redirect URI changed during the sign-in: check web.public_url, and start again",
    ),
    code(501481, Kind::SignIn, "the code belongs to another sign-in"),
    code(
        9002327,
        Kind::Misconfigured,
        "the redirect URI stands under the platform \"Single-page application\": register it under \"Mobile and desktop \
         applications\" instead, or under \"Web\" where entra.client_secret is set",
    ),
    code(70011, Kind::Misconfigured, "a permission that is asked for does not exist"),
    code(650053, Kind::Misconfigured, "a permission that is asked for does not exist"),
    code(50020, Kind::Misconfigured, "this person is not of the application's tenant"),
    code(50105, Kind::Blocked, "the application is for assigned people only: an administrator assigns this person"),
    code(50005, Kind::Blocked, "a policy does not know this kind of device"),
    code(50097, Kind::Blocked, "a policy asks for a device that the organisation manages"),
    code(50131, Kind::Blocked, "a Conditional Access policy does not allow this device or place"),
    code(53000, Kind::Blocked, "a policy asks for a device that complies with the organisation's rules"),
    code(53001, Kind::Blocked, "a policy asks for a device that is joined to the organisation"),
    code(53002, Kind::Blocked, "a policy does not approve of this application"),
    code(53003, Kind::Blocked, "a Conditional Access policy blocks this way of signing in"),
    code(53011, Kind::Blocked, "the person is blocked because of a risk"),
    code(530003, Kind::Blocked, "a policy asks for a device that the organisation manages"),
    code(530032, Kind::Blocked, "a policy of the tenant blocks the sign-in"),
    code(530034, Kind::Blocked, "the person is blocked because of a risk"),
    code(530035, Kind::Blocked, "the tenant's security defaults block the sign-in"),
    code(530036, Kind::Blocked, "a Conditional Access policy blocks what was signed in by a code"),
    code(50033, Kind::Retry, "a passing fault of Entra"),
    code(50087, Kind::Retry, "a passing fault of Entra"),
    code(90006, Kind::Retry, "a passing fault of Entra"),
    code(TIMED_OUT, Kind::Retry, "Entra took too long"),
    code(90033, Kind::Retry, "a passing fault of Entra"),
    code(50196, Kind::RetryMuchLater, "Entra saw a loop of requests and blocks them for a while"),
];

/// The first of these numbers that has words.
pub(super) fn known(numbers: &[u32]) -> Option<&'static Code> {
    numbers.iter().find_map(|number| CODES.iter().find(|code| code.number == *number))
}

/// The `error` of who cannot serve the request now.
const UNAVAILABLE: &str = "temporarily_unavailable";

/// Whether the same request may go through soon: an `error` that nobody has heard of says no such thing.
pub(super) fn passes(error: &str, code: Option<&Code>) -> bool {
    [UNAVAILABLE, "server_error"].contains(&error) || code.is_some_and(Code::passes)
}

/// Whether a request that passes so had surely no effect.
pub(super) fn had_no_effect(error: &str, code: Option<&Code>) -> bool {
    match code {
        Some(code) => code.passes() && code.number != TIMED_OUT,
        None => error == UNAVAILABLE,
    }
}

/// What an error comes to: `error` decides, then `suberror`. A number counts only where both leave it
/// open; an error that nobody has heard of is tried again.
pub(super) fn kind(error: &str, suberror: Option<&str>, code: Option<&Code>) -> Kind {
    let find = |table: &[(&str, Kind)], word: &str| table.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind);
    find(ERRORS, error)
        .or_else(|| suberror.and_then(|word| find(SUBERRORS, word)))
        .or_else(|| code.map(|code| code.usually))
        .or_else(|| suberror.and_then(|word| find(OPEN, word)))
        .or_else(|| find(OPEN, error))
        .unwrap_or(Kind::Retry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_decides_then_the_suberror_and_a_number_only_where_both_leave_it_open() {
        for (error, suberror, number, expected) in [
            ("invalid_grant", None, 0, Kind::SignIn),
            ("invalid_grant", Some("consent_required"), 65001, Kind::Consent),
            ("invalid_grant", Some("message_only"), 50076, Kind::Blocked),
            ("invalid_grant", Some("bad_token"), 53003, Kind::SignIn),
            ("invalid_grant", Some("basic_action"), 53003, Kind::SignIn),
            ("interaction_required", None, 53003, Kind::Blocked),
            ("interaction_required", None, 50076, Kind::SignIn),
            ("consent_required", None, 50076, Kind::Consent),
            ("access_denied", None, 65004, Kind::Consent),
            ("access_denied", Some(CANCEL), 65004, Kind::Consent),
            ("access_denied", Some(CANCEL), 90094, Kind::Consent),
            ("access_denied", Some(CANCEL), 0, Kind::TurnedBack),
            ("access_denied", None, 0, Kind::SignIn),
            ("server_error", Some(CANCEL), 0, Kind::Retry),
            ("invalid_client", None, 7_000_222, Kind::Misconfigured),
            ("invalid_client", Some("bad_token"), 50173, Kind::Misconfigured),
            ("temporarily_unavailable", None, 50173, Kind::Retry),
            ("invalid_grant", None, 50196, Kind::RetryMuchLater),
            ("something_new", None, 0, Kind::Retry),
            ("something_new", Some("as_new"), 65001, Kind::Consent),
        ] {
            let found = kind(error, suberror, known(&[number]));
            assert_eq!(found, expected, "{error} {suberror:?} {number}");
        }
    }

    #[test]
    fn what_passes_and_what_had_no_effect_is_told_apart_from_what_nobody_knows() {
        for (error, number, expected) in [
            ("temporarily_unavailable", 0, (true, true)),
            ("temporarily_unavailable", 90_033, (true, true)),
            ("server_error", 90_006, (true, true)),
            ("something_new", 50_033, (true, true)),
            ("server_error", 0, (true, false)),
            ("server_error", 90_012, (true, false)),
            ("temporarily_unavailable", 90_012, (true, false)),
            ("something_new", 0, (false, false)),
            ("invalid_grant", 54_005, (false, false)),
            ("invalid_grant", 50_196, (false, false)),
        ] {
            let code = known(&[number]);
            assert_eq!((passes(error, code), had_no_effect(error, code)), expected, "{error} {number}");
        }
    }

    #[test]
    fn every_number_stands_once_and_its_words_end_without_a_full_stop() {
        let numbers: std::collections::BTreeSet<u32> = CODES.iter().map(|code| code.number).collect();
        assert_eq!(numbers.len(), CODES.len());
        assert!(CODES.iter().all(|code| !code.words.ends_with('.') && !code.words.is_empty()));
    }
}
