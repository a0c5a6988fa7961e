//! Judges the fields of a provider.

use crate::domain::id::is_slug;
use crate::domain::patch::Field;
use crate::domain::provider::{Branding, DEFAULT_SLUG, ProviderTtls, SessionTtls};
use crate::domain::refusal::FieldError;
use crate::domain::{AudienceSet, Provider, ProviderId, Refusal, SigningAlg};
use crate::engine::manage::fields::{Checks, any, label, one_of, seconds};

const DAY: i64 = 86_400;
const TEN_YEARS: i64 = 3650 * DAY;
const MAX_LOGO: usize = 32_768;
/// Surfaces that a provider can turn on for its own path.
const SURFACES: [&str; 5] = ["runai", "deepgram", "usegrant", "vocalstack", "endorsed"];

/// A provider to be made, or a change to one. Lifetimes in seconds.
#[derive(Clone, Debug, Default)]
pub struct ProviderDraft {
    /// At creation only.
    pub slug: Field<String>,
    pub name: Field<String>,
    pub description: Field<String>,
    pub default_audience: Field<String>,
    pub access_token_signing_alg: Field<String>,
    pub access_token_ttl: Field<i64>,
    pub id_token_ttl: Field<i64>,
    pub authorization_code_ttl: Field<i64>,
    pub refresh_token_ttl: Field<i64>,
    pub refresh_token_max_ttl: Field<i64>,
    pub max_ttl: Field<i64>,
    pub jwks_max_age: Field<i64>,
    pub key_rotation: Field<i64>,
    pub strict_scopes: Field<bool>,
    pub surfaces: Field<Vec<String>>,
    pub session_idle_ttl: Field<i64>,
    pub session_max_ttl: Field<i64>,
    /// A `data:` URI of an image.
    pub logo_uri: Field<String>,
    /// `#rrggbb`.
    pub brand_color: Field<String>,
    pub enabled: Field<bool>,
    /// What could not even be read; told together with what is wrong otherwise.
    pub slips: Vec<FieldError>,
}

/// A provider with every default.
pub fn blank(id: ProviderId, slug: &str, issuer: String, now: i64) -> Provider {
    Provider {
        id,
        slug: slug.to_owned(),
        name: slug.to_owned(),
        description: None,
        issuer,
        default_audience: None,
        access_token_signing_alg: SigningAlg::Es256,
        ttls: ProviderTtls::default(),
        strict_scopes: false,
        surfaces: Vec::new(),
        sessions: SessionTtls::default(),
        branding: Branding::default(),
        enabled: true,
        epoch: 0,
        version: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
        older_tokens_end_at: 0,
    }
}

/// The slug of a new provider; it cannot be left out. A wrong one becomes a slip of the draft.
pub fn slug(draft: &mut ProviderDraft) -> String {
    let flaw = match std::mem::take(&mut draft.slug) {
        Field::Set(slug) if is_slug(&slug) => return slug,
        Field::Set(_) => "must be 1 to 63 of a-z 0-9 -, not begin with - and not look like a UUID",
        Field::Keep | Field::Reset => "is needed",
    };
    draft.slips.push(FieldError { pointer: "/slug".to_owned(), detail: flaw.to_owned() });
    String::new()
}

/// `current` with the draft applied, and the names of the fields that changed.
pub fn apply(draft: ProviderDraft, current: &Provider) -> Result<(Provider, Vec<&'static str>), Refusal> {
    let mut checks = Checks::after(draft.slips);
    let blank = blank(current.id.clone(), &current.slug, current.issuer.clone(), current.created_at);
    match &draft.slug {
        Field::Keep => {}
        Field::Set(slug) if *slug == current.slug => {}
        _ => checks.refuse("slug", "cannot be changed"),
    }
    if matches!(draft.enabled, Field::Set(false)) && current.slug == DEFAULT_SLUG {
        checks.refuse("enabled", "the provider default cannot be disabled");
    }
    let (ttls, defaults) = (&current.ttls, ProviderTtls::default());
    let changed = Provider {
        name: checks.apply("name", draft.name, (&current.name, blank.name), label),
        description: checks.optional("description", draft.description, &current.description, label),
        default_audience: checks.optional(
            "default_audience",
            draft.default_audience,
            &current.default_audience,
            one_audience,
        ),
        access_token_signing_alg: checks.apply(
            "access_token_signing_alg",
            draft.access_token_signing_alg,
            (&current.access_token_signing_alg, SigningAlg::Es256),
            one_of(SigningAlg::from_name, "ES256, RS256, EdDSA"),
        ),
        ttls: ProviderTtls {
            max: checks.apply("max_ttl", draft.max_ttl, (&ttls.max, defaults.max), seconds(1, TEN_YEARS)),
            access_token: checks.apply(
                "access_token_ttl",
                draft.access_token_ttl,
                (&ttls.access_token, defaults.access_token),
                seconds(1, TEN_YEARS),
            ),
            id_token: checks.apply(
                "id_token_ttl",
                draft.id_token_ttl,
                (&ttls.id_token, defaults.id_token),
                seconds(1, TEN_YEARS),
            ),
            authorization_code: checks.apply(
                "authorization_code_ttl",
                draft.authorization_code_ttl,
                (&ttls.authorization_code, defaults.authorization_code),
                seconds(1, 600),
            ),
            refresh_token: checks.apply(
                "refresh_token_ttl",
                draft.refresh_token_ttl,
                (&ttls.refresh_token, defaults.refresh_token),
                seconds(1, TEN_YEARS),
            ),
            refresh_token_max: checks.apply(
                "refresh_token_max_ttl",
                draft.refresh_token_max_ttl,
                (&ttls.refresh_token_max, defaults.refresh_token_max),
                seconds(1, TEN_YEARS),
            ),
            jwks_max_age: checks.apply(
                "jwks_max_age",
                draft.jwks_max_age,
                (&ttls.jwks_max_age, defaults.jwks_max_age),
                seconds(0, 30 * DAY),
            ),
            key_rotation: checks.apply(
                "key_rotation",
                draft.key_rotation,
                (&ttls.key_rotation, defaults.key_rotation),
                seconds(DAY, TEN_YEARS),
            ),
        },
        strict_scopes: checks.apply("strict_scopes", draft.strict_scopes, (&current.strict_scopes, false), any),
        surfaces: checks.apply("surfaces", draft.surfaces, (&current.surfaces, blank.surfaces), surfaces),
        sessions: SessionTtls {
            idle: checks.apply(
                "session_idle_ttl",
                draft.session_idle_ttl,
                (&current.sessions.idle, blank.sessions.idle),
                seconds(60, TEN_YEARS),
            ),
            max: checks.apply(
                "session_max_ttl",
                draft.session_max_ttl,
                (&current.sessions.max, blank.sessions.max),
                seconds(60, TEN_YEARS),
            ),
        },
        branding: Branding {
            logo_uri: checks.optional("logo_uri", draft.logo_uri, &current.branding.logo_uri, logo_uri),
            color: checks.optional("brand_color", draft.brand_color, &current.branding.color, color),
        },
        enabled: checks.apply("enabled", draft.enabled, (&current.enabled, true), any),
        ..current.clone()
    };
    if changed.ttls.access_token > changed.ttls.max {
        checks.refuse("access_token_ttl", "must not be larger than max_ttl");
    }
    let fields = checks.finish()?;
    Ok((changed, fields))
}

/// The pages load nothing from elsewhere, so the image itself is given.
fn logo_uri(value: String) -> Result<String, &'static str> {
    let kinds = ["png", "jpeg", "webp", "svg+xml"];
    let data = kinds.iter().find_map(|kind| value.strip_prefix(&format!("data:image/{kind};base64,")));
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    match data {
        Some(data) if value.len() <= MAX_LOGO && !data.is_empty() && data.bytes().all(is_base64) => Ok(value),
        _ => Err("must be a data: URI of a PNG, JPEG, WebP or SVG image in base64, at most 32768 characters"),
    }
}

fn color(value: String) -> Result<String, &'static str> {
    let digits = value.strip_prefix('#').filter(|digits| digits.len() == 6);
    let fits = digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if fits { Ok(value.to_ascii_lowercase()) } else { Err("must be #rrggbb") }
}

fn one_audience(value: String) -> Result<String, String> {
    AudienceSet::of([value.as_str()]).map_err(|error| error.to_string())?;
    Ok(value)
}

fn surfaces(names: Vec<String>) -> Result<Vec<String>, String> {
    let mut once: Vec<String> = Vec::new();
    for name in names {
        if !SURFACES.contains(&name.as_str()) {
            return Err(format!("must be of {}", SURFACES.join(", ")));
        }
        if !once.contains(&name) {
            once.push(name);
        }
    }
    Ok(once)
}
