//! An ID token of ours that comes back as a hint (OIDC Core §3.1.2.1, RP-Initiated Logout §2): it
//! says whom a client means. It may have expired; it proves no login.

use std::borrow::Cow;
use std::ops::Deref;

use serde::Deserialize;

use crate::crypto::jose::{Compact, Header, OneOrMany, decode};
use crate::crypto::verify::VerifyingKey;

/// What a genuine hint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdHint {
    pub issuer: String,
    pub subject: String,
    pub audience: Vec<String>,
    pub session: Option<String>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
    #[serde(borrow)]
    aud: OneOrMany<'a>,
    #[serde(borrow, default)]
    sid: Option<Cow<'a, str>>,
    /// Every ID token of a person has it. The one that goes with an app token, whose `sub` is a client, has not.
    #[serde(rename = "auth_time")]
    _auth_time: i64,
}

/// The hint, or `None` for everything that is no ID token of a person by a published key. Access tokens carry
/// a `typ`, ID tokens none.
pub fn read_id_hint<K: Deref<Target = VerifyingKey>>(
    jwt: &str,
    key_of: impl FnOnce(&str) -> Option<K>,
) -> Option<IdHint> {
    let compact = Compact::cut(jwt)?;
    let header_json = decode(compact.header)?;
    let header = Header::read(&header_json)?;
    let key = key_of(header.kid.as_deref()?)?;
    if header.typ.is_some() || header.has_critical() || !key.made(&compact, &header) {
        return None;
    }
    let payload = decode(compact.payload)?;
    let Wire { iss, sub, aud, sid, _auth_time } = serde_json::from_slice(&payload).ok()?;
    Some(IdHint {
        issuer: iss.into_owned(),
        subject: sub.into_owned(),
        audience: aud.values.into_iter().map(Cow::into_owned).collect(),
        session: sid.map(Cow::into_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::signer::{SigningKey, generate};
    use crate::domain::SigningAlg;
    use crate::domain::token::AccessTyp;

    #[test]
    fn only_an_untyped_token_of_our_key_is_a_hint() {
        let made = generate(SigningAlg::Es256, "k").unwrap();
        let key = SigningKey::from_pkcs8("k", SigningAlg::Es256, &made.pkcs8).unwrap();
        let verifying = VerifyingKey::from_jwk("k", SigningAlg::Es256, &made.public_jwk).unwrap();
        let find = |kid: &str| (kid == "k").then_some(&verifying);
        let claims = br#"{"iss":"i","sub":"s","aud":"c","sid":"x","auth_time":1,"exp":1}"#;
        let hint = read_id_hint(&key.sign(None, claims).unwrap(), find).unwrap();
        assert_eq!((hint.subject.as_str(), hint.session.as_deref()), ("s", Some("x")));
        assert_eq!(hint.audience, ["c"]);
        assert_eq!(read_id_hint(&key.sign(Some(AccessTyp::AtJwt), claims).unwrap(), find), None);
        assert_eq!(read_id_hint(&key.sign(None, claims).unwrap(), |_| None::<&VerifyingKey>), None);
        // A client is nobody who logs in.
        let of_a_client = br#"{"iss":"i","sub":"c","aud":"c","exp":1}"#;
        assert_eq!(read_id_hint(&key.sign(None, of_a_client).unwrap(), find), None);
        let foreign = generate(SigningAlg::Es256, "k").unwrap();
        let foreign = SigningKey::from_pkcs8("k", SigningAlg::Es256, &foreign.pkcs8).unwrap();
        assert_eq!(read_id_hint(&foreign.sign(None, claims).unwrap(), find), None);
    }
}
