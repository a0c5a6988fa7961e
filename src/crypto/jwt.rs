//! The claims of our tokens as JSON, written straight from the values.
//!
//! Everything is ASCII, and `>` `?` `~` U+007F are escaped as well: those are the only ASCII
//! characters whose low six bits can make a base64 digit 62 or 63, the two in which base64url
//! differs from standard base64. So a client that decodes a payload with the standard alphabet,
//! as real ones do, reads ours too.

use std::io::Write;

use crate::domain::token::{AccessClaims, IdClaims, Jti, LogoutClaims, PersonClaims, PersonIdClaims, Profile};
use crate::domain::{Access, Actor, ExtraClaims, FreeClaim};

/// The payload of an access token (RFC 9068 §2.2), with the epochs as `ep`. `aud` is a string if
/// there is one value, else an array; `scope` is left out when empty. Claims of free form come last.
pub fn access_payload(claims: &AccessClaims) -> Vec<u8> {
    let AccessClaims {
        issuer,
        subject,
        audience,
        client_id,
        scope,
        jti,
        issued_at,
        expires_at,
        epochs,
        typ: _, // stands in the JOSE header, or beside the payload of an opaque token
        person,
        audience_as_list,
        extra,
    } = claims;
    let texts = issuer.len() + subject.len() + audience.as_str().len() + client_id.len() + scope.as_str().len();
    let mut json = JsonObject::with_capacity(texts + 192);
    json.text("iss", issuer);
    json.text("sub", subject);
    let mut values = audience.iter();
    match (values.next(), values.next()) {
        (Some(only), None) if !audience_as_list => json.text("aud", only),
        _ => json.texts("aud", audience.iter()),
    }
    json.number("exp", *expires_at);
    json.number("iat", *issued_at);
    json.id("jti", *jti);
    json.text("client_id", client_id);
    if !scope.is_empty() {
        json.text("scope", scope.as_str());
    }
    json.plain("ep", format_args!("{epochs}"));
    if let Some(PersonClaims { grant, session }) = person {
        json.id("grant_id", *grant);
        if let Some(session) = session {
            json.text("sid", session.as_str());
        }
    }
    if let Some(extra) = extra {
        push_extra(&mut json, extra);
    }
    json.end()
}

fn push_extra(json: &mut JsonObject, extra: &ExtraClaims) {
    let ExtraClaims { one_time, access, actor, free } = extra;
    if *one_time {
        json.boolean("one_time", true);
    }
    json.known_texts([("access", access.map(Access::name))]);
    if let Some(Actor { subject, epoch }) = actor {
        json.name("act");
        let mut act = JsonObject::with_capacity(subject.len() + 32);
        act.text("sub", subject);
        if let Some(epoch) = epoch {
            act.number("ep", i64::from(*epoch));
        }
        json.0.extend_from_slice(&act.end());
    }
    for FreeClaim { name, json: value } in free {
        json.name(name);
        push_json(&mut json.0, value);
    }
}

/// The payload of an ID token (OIDC Core §2): of a person, or of a client itself.
pub fn id_payload(claims: &IdClaims) -> Vec<u8> {
    let IdClaims { issuer, subject, audience, jti, issued_at, expires_at, person } = claims;
    let mut json = JsonObject::with_capacity(issuer.len() + subject.len() + audience.len() + 160);
    json.text("iss", issuer);
    json.text("sub", subject);
    json.text("aud", audience);
    json.number("exp", *expires_at);
    json.number("iat", *issued_at);
    json.id("jti", *jti);
    if let Some(person) = person {
        push_person(&mut json, person);
    }
    json.end()
}

/// The payload of a logout token (Back-Channel Logout §2.4): `sub` and `sid`, and no `nonce`.
pub fn logout_payload(claims: &LogoutClaims) -> Vec<u8> {
    let LogoutClaims { issuer, subject, audience, jti, issued_at, expires_at, session } = claims;
    let mut json = JsonObject::with_capacity(issuer.len() + subject.len() + audience.len() + 320);
    json.text("iss", issuer);
    json.text("sub", subject);
    json.text("aud", audience);
    json.number("iat", *issued_at);
    json.number("exp", *expires_at);
    json.id("jti", *jti);
    json.text("sid", session.as_str());
    json.name("events");
    json.0.extend_from_slice(br#"{"http://schemas.openid.net/event/backchannel-logout":{}}"#);
    json.end()
}

fn push_person(json: &mut JsonObject, person: &PersonIdClaims) {
    let PersonIdClaims { auth_time, amr, nonce, at_hash, sid, profile } = person;
    json.number("auth_time", *auth_time);
    if amr.iter().next().is_some() {
        json.texts("amr", amr.iter());
    }
    let texts =
        [("nonce", nonce.as_deref()), ("at_hash", at_hash.as_deref()), ("sid", sid.as_ref().map(|sid| sid.as_str()))];
    json.known_texts(texts);
    let Profile { preferred_username, name, email, email_verified, groups, roles, updated_at } = profile;
    json.known_texts([
        ("preferred_username", preferred_username.as_deref()),
        ("name", name.as_deref()),
        ("email", email.as_deref()),
    ]);
    if let Some(verified) = email_verified {
        json.boolean("email_verified", *verified);
    }
    for (name, texts) in [("groups", groups), ("roles", roles)] {
        if let Some(texts) = texts {
            json.texts(name, texts.iter().map(String::as_str));
        }
    }
    if let Some(at) = updated_at {
        json.number("updated_at", *at);
    }
}

/// A JSON object of ASCII bytes, member by member. Also writes JOSE headers and JWKs.
pub(in crate::crypto) struct JsonObject(Vec<u8>);

impl JsonObject {
    pub fn with_capacity(bytes: usize) -> Self {
        let mut out = Vec::with_capacity(bytes);
        out.push(b'{');
        Self(out)
    }

    /// `value` may hold anything; it is escaped.
    pub fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        push_text(&mut self.0, value);
    }

    /// Those that have a value.
    fn known_texts<'a>(&mut self, members: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) {
        for (name, value) in members {
            if let Some(value) = value {
                self.text(name, value);
            }
        }
    }

    fn boolean(&mut self, name: &str, value: bool) {
        self.name(name);
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn texts<'a>(&mut self, name: &str, values: impl Iterator<Item = &'a str>) {
        self.name(name);
        self.0.push(b'[');
        for (index, value) in values.enumerate() {
            if index > 0 {
                self.0.push(b',');
            }
            push_text(&mut self.0, value);
        }
        self.0.push(b']');
    }

    fn number(&mut self, name: &str, value: i64) {
        self.name(name);
        // Writing into memory cannot fail.
        let _ = write!(self.0, "{value}");
    }

    /// A value that needs no escaping by its nature.
    fn plain(&mut self, name: &str, value: std::fmt::Arguments<'_>) {
        self.name(name);
        self.0.push(b'"');
        let _ = self.0.write_fmt(value);
        self.0.push(b'"');
    }

    fn id(&mut self, name: &str, jti: Jti) {
        self.name(name);
        self.0.push(b'"');
        self.0.extend_from_slice(&jti.text());
        self.0.push(b'"');
    }

    pub fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        push_text(&mut self.0, name);
        self.0.push(b':');
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    if bytes.iter().copied().all(stands_as_it_is) {
        out.extend_from_slice(bytes);
    } else {
        for character in text.chars() {
            push_escaped(out, character);
        }
    }
    out.push(b'"');
}

/// A JSON value as text. What must not stand as it is stands in strings only, where it may be escaped.
fn push_json(out: &mut Vec<u8>, json: &str) {
    for character in json.chars() {
        match u8::try_from(character) {
            Ok(byte @ (b'"' | b'\\' | b'\t' | b'\n' | b'\r')) => out.push(byte),
            _ => push_escaped(out, character),
        }
    }
}

#[cold]
fn push_escaped(out: &mut Vec<u8>, character: char) {
    match u8::try_from(character) {
        Ok(byte) if stands_as_it_is(byte) => out.push(byte),
        Ok(byte @ (b'"' | b'\\')) => out.extend_from_slice(&[b'\\', byte]),
        _ => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let [high, low] = unit.to_be_bytes();
                out.extend_from_slice(&[b'\\', b'u', hex(high >> 4), hex(high & 15), hex(low >> 4), hex(low & 15)]);
            }
        }
    }
}

const fn stands_as_it_is(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7D) && !matches!(byte, b'"' | b'\\' | b'>' | b'?')
}

const fn hex(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}

#[cfg(test)]
pub mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

    use super::*;
    use crate::crypto::random::Random;
    use crate::domain::token::{AccessTyp, Epochs};
    use crate::domain::{AudienceSet, ScopeSet, UnixTime};

    /// Claims that other files' tests sign and seal.
    pub fn claims() -> AccessClaims {
        AccessClaims {
            issuer: "http://localhost:8080".into(),
            subject: "497f6eca-6276-4993-bfeb-53cbbbba6f08".into(),
            audience: AudienceSet::of(["https://api.example"]).unwrap(),
            client_id: "497f6eca-6276-4993-bfeb-53cbbbba6f08".into(),
            scope: ScopeSet::parse("read write").unwrap(),
            jti: Random::seeded(1).jti(UnixTime::from_seconds(1_700_000_000)),
            issued_at: 1_700_000_000,
            expires_at: 1_700_003_600,
            epochs: Epochs { provider: 1, client: 2, user: 0, session: 0 },
            typ: AccessTyp::AtJwt,
            person: None,
            audience_as_list: false,
            extra: None,
        }
    }

    #[test]
    fn an_access_token_carries_the_claims_of_rfc_9068() {
        let mut claims = claims();
        claims.jti = Jti([0x01, 0x9a, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0xff]);
        let text = String::from_utf8(access_payload(&claims)).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"iss":"http://localhost:8080","sub":"497f6eca-6276-4993-bfeb-53cbbbba6f08","#,
                r#""aud":"https://api.example","exp":1700003600,"iat":1700000000,"#,
                r#""jti":"019a0001-0203-0405-0607-08090a0b0cff","#,
                r#""client_id":"497f6eca-6276-4993-bfeb-53cbbbba6f08","scope":"read write","ep":"1.2.0.0"}"#
            )
        );
        claims.audience = AudienceSet::of(["a", "b"]).unwrap();
        claims.scope = ScopeSet::default();
        let value: serde_json::Value = serde_json::from_slice(&access_payload(&claims)).unwrap();
        assert_eq!(value["aud"], serde_json::json!(["a", "b"]));
        assert!(value.get("scope").is_none());
    }

    #[test]
    fn an_id_token_of_a_client_carries_no_more_than_it_must() {
        let payload = id_payload(&IdClaims {
            issuer: "i".into(),
            subject: "s".into(),
            audience: "c".into(),
            jti: Jti([0; 16]),
            issued_at: 1,
            expires_at: 2,
            person: None,
        });
        let expected =
            br#"{"iss":"i","sub":"s","aud":"c","exp":2,"iat":1,"jti":"00000000-0000-0000-0000-000000000000"}"#;
        assert_eq!(payload, expected);
    }

    #[test]
    fn claims_of_free_form_stand_at_the_end_and_keep_the_alphabet() {
        let mut claims = claims();
        claims.audience_as_list = true;
        claims.extra = Some(Box::new(ExtraClaims {
            one_time: true,
            access: Some(Access::ReadOnly),
            actor: Some(Actor { subject: "key>1".into(), epoch: Some(7) }),
            free: vec![
                FreeClaim { name: "room".into(), json: r#"{"a":["ÿ~>?","\\\"😀",1.5,null]}"#.into() },
                FreeClaim { name: "n".into(), json: "7".into() },
            ],
        }));
        let payload = access_payload(&claims);
        assert!(payload.is_ascii() && !URL_SAFE_NO_PAD.encode(&payload).contains(['-', '_']));
        let value: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(value["aud"], serde_json::json!(["https://api.example"]));
        assert_eq!(value["one_time"], true);
        assert_eq!(value["access"], "readonly");
        assert_eq!(value["act"], serde_json::json!({"sub": "key>1", "ep": 7}));
        assert_eq!(value["room"], serde_json::json!({"a": ["ÿ~>?", "\\\"😀", 1.5, null]}));
        assert_eq!(value["n"], 7);
    }

    #[test]
    fn base64url_of_a_payload_equals_standard_base64_whatever_the_values() {
        let random = Random::seeded(9);
        let all_ascii: String = (0..=0x7F_u8).map(char::from).collect();
        let awkward: Vec<char> = all_ascii.chars().chain("ÿäß€漢😀\u{10FFFF}\u{2028}".chars()).collect();
        for round in 0..3000_usize {
            let picks = random.bytes::<40>();
            let text: String = picks.iter().map(|pick| awkward[usize::from(*pick) % awkward.len()]).collect();
            let mut claims = claims();
            claims.subject = if round == 0 { all_ascii.clone() } else { text.clone() };
            claims.issuer = "x".repeat(round % 3);
            claims.jti = random.jti(UnixTime::from_seconds(1));
            let payload = access_payload(&claims);
            assert!(payload.is_ascii());
            let encoded = URL_SAFE_NO_PAD.encode(&payload);
            assert!(!encoded.contains(['-', '_']), "{claims:?}");
            assert_eq!(encoded, STANDARD_NO_PAD.encode(&payload));
            let value: serde_json::Value = serde_json::from_slice(&payload).unwrap();
            assert_eq!(value["sub"], claims.subject);
            assert_eq!(value["jti"], claims.jti.to_string());
            let mut named = JsonObject::with_capacity(0);
            named.text(&text, "v");
            assert!(!URL_SAFE_NO_PAD.encode(named.end()).contains(['-', '_']));
        }
    }
}
