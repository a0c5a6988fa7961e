//! The payload of our own access tokens, read back exactly as
//! [`access_payload`](crate::crypto::jwt::access_payload) writes it: each claim once, ours of the type
//! we give them, and all others kept as claims of free form.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::Deserialize;
use serde::de::{Error, MapAccess, Visitor};
use serde_json::Value;

use crate::crypto::jose::OneOrMany;
use crate::domain::token::{AccessClaims, AccessTyp, Epochs, Jti, PersonClaims};
use crate::domain::{Access, Actor, AudienceSet, ExtraClaims, FreeClaim, ScopeSet};

/// Reads the payload of a token whose genuineness has been proven; `None` if we did not write it.
pub(in crate::crypto) fn read_access(payload: &[u8], typ: AccessTyp) -> Option<AccessClaims> {
    let mut wire: WireAccess<'_> = serde_json::from_slice(payload).ok()?;
    let extra = wire.extra()?;
    let aud = wire.aud?;
    let person = match wire.grant_id {
        Some(grant) => {
            Some(PersonClaims { grant: Jti::parse(&grant.0)?, session: wire.sid.map(|sid| (*sid.0).into()) })
        }
        None => None,
    };
    Some(AccessClaims {
        issuer: wire.iss?.0.into_owned(),
        subject: wire.sub?.0.into_owned(),
        audience: AudienceSet::of(aud.values.iter().map(Deref::deref)).ok()?,
        client_id: wire.client_id?.0.into_owned(),
        scope: wire.scope.map_or(Ok(ScopeSet::default()), |scope| ScopeSet::parse(&scope.0)).ok()?,
        jti: Jti::parse(&wire.jti?.0)?,
        issued_at: wire.iat?,
        expires_at: wire.exp?,
        epochs: Epochs::parse(&wire.ep?.0)?,
        typ,
        person,
        audience_as_list: aud.is_array && aud.values.len() == 1,
        extra,
    })
}

/// A string that is borrowed where it holds no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// RFC 8693 §4.1, no deeper than we write it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireActor<'a> {
    #[serde(borrow)]
    sub: Cow<'a, str>,
    ep: Option<u32>,
}

#[derive(Default)]
struct WireAccess<'a> {
    iss: Option<Text<'a>>,
    sub: Option<Text<'a>>,
    aud: Option<OneOrMany<'a>>,
    exp: Option<i64>,
    iat: Option<i64>,
    jti: Option<Text<'a>>,
    client_id: Option<Text<'a>>,
    scope: Option<Text<'a>>,
    ep: Option<Text<'a>>,
    grant_id: Option<Text<'a>>,
    sid: Option<Text<'a>>,
    one_time: Option<bool>,
    access: Option<Text<'a>>,
    act: Option<WireActor<'a>>,
    free: Vec<FreeClaim>,
}

impl WireAccess<'_> {
    /// `Some(None)`: there is nothing beside the usual claims.
    #[allow(clippy::option_option, reason = "the outer says whether it can be read at all")]
    fn extra(&mut self) -> Option<Option<Box<ExtraClaims>>> {
        let access = match self.access.take() {
            Some(name) => Some(Access::from_name(&name.0)?),
            None => None,
        };
        let extra = ExtraClaims {
            one_time: self.one_time.unwrap_or(false),
            access,
            actor: self.act.take().map(|act| Actor { subject: act.sub.into_owned(), epoch: act.ep }),
            free: std::mem::take(&mut self.free),
        };
        Some((!extra.is_empty()).then(|| Box::new(extra)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for WireAccess<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Claims)
    }
}

struct Claims;

impl<'de> Visitor<'de> for Claims {
    type Value = WireAccess<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the claims of an access token")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut wire = WireAccess::default();
        while let Some(Text(name)) = map.next_key()? {
            match &*name {
                "iss" => once(&mut wire.iss, &mut map)?,
                "sub" => once(&mut wire.sub, &mut map)?,
                "aud" => once(&mut wire.aud, &mut map)?,
                "exp" => once(&mut wire.exp, &mut map)?,
                "iat" => once(&mut wire.iat, &mut map)?,
                "jti" => once(&mut wire.jti, &mut map)?,
                "client_id" => once(&mut wire.client_id, &mut map)?,
                "scope" => once(&mut wire.scope, &mut map)?,
                "ep" => once(&mut wire.ep, &mut map)?,
                "grant_id" => once(&mut wire.grant_id, &mut map)?,
                "sid" => once(&mut wire.sid, &mut map)?,
                "one_time" => once(&mut wire.one_time, &mut map)?,
                "access" => once(&mut wire.access, &mut map)?,
                "act" => once(&mut wire.act, &mut map)?,
                _ => {
                    let value: Value = map.next_value()?;
                    if wire.free.iter().any(|claim| claim.name == *name) {
                        return Err(twice());
                    }
                    wire.free.push(FreeClaim { name: name.into_owned(), json: value.to_string() });
                }
            }
        }
        Ok(wire)
    }
}

/// The value of a claim that stands for the first time.
fn once<'de, T: Deserialize<'de>, A: MapAccess<'de>>(slot: &mut Option<T>, map: &mut A) -> Result<(), A::Error> {
    if slot.is_some() {
        return Err(twice());
    }
    *slot = Some(map.next_value()?);
    Ok(())
}

fn twice<E: Error>() -> E {
    E::custom("a claim stands twice")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::jwt::access_payload;
    use crate::crypto::jwt::tests::claims;

    #[test]
    fn claims_of_free_form_read_back_as_they_were() {
        for (audience_as_list, epoch) in [(false, None), (true, Some(0)), (true, Some(u32::MAX))] {
            let extra = ExtraClaims {
                one_time: true,
                access: Some(Access::ReadWrite),
                actor: Some(Actor { subject: "ÿ".into(), epoch }),
                free: vec![
                    FreeClaim { name: "a>b".into(), json: r#"["~",{"k":"é"},1]"#.into() },
                    FreeClaim { name: "z".into(), json: "null".into() },
                ],
            };
            let claims = AccessClaims { audience_as_list, extra: Some(Box::new(extra)), ..claims() };
            assert_eq!(read_access(&access_payload(&claims), AccessTyp::AtJwt), Some(claims));
        }
    }

    #[test]
    fn a_payload_that_says_a_thing_twice_or_in_another_form_is_refused() {
        let good = String::from_utf8(access_payload(&claims())).unwrap();
        for more in [
            r#""one_time":"true""#,
            r#""access":"all""#,
            r#""access":7"#,
            r#""act":"x""#,
            r#""act":{}"#,
            r#""act":{"sub":"x","ep":-1}"#,
            r#""act":{"sub":"x","act":{"sub":"y"}}"#,
            r#""room":1,"room":1"#,
            r#""one_time":true,"one_time":true"#,
            r#""scope":"other""#,
        ] {
            let changed = good.replacen('{', &format!("{{{more},"), 1);
            assert!(read_access(changed.as_bytes(), AccessTyp::AtJwt).is_none(), "{changed}");
        }
        let plain = read_access(good.as_bytes(), AccessTyp::AtJwt).unwrap();
        assert_eq!(plain.extra, None);
    }
}
