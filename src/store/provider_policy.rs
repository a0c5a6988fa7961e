//! The JSON text of `providers.policy`, through a mirror: settings that no query asks for.

use serde::{Deserialize, Serialize};

use crate::domain::Fault;
use crate::domain::provider::{Branding, SessionTtls};
use crate::store::fault::unreadable;

/// A field that an older release did not write has its default.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Mirror {
    session_idle_ttl: Option<i64>,
    session_max_ttl: Option<i64>,
    logo_uri: Option<String>,
    brand_color: Option<String>,
    description: Option<String>,
}

/// What `providers.policy` holds.
pub struct Policy {
    pub sessions: SessionTtls,
    pub branding: Branding,
    pub description: Option<String>,
}

pub fn read(text: &str) -> Result<Policy, Fault> {
    let Mirror { session_idle_ttl, session_max_ttl, logo_uri, brand_color, description } =
        serde_json::from_str(text).map_err(|_| unreadable("providers", "policy"))?;
    let default = SessionTtls::default();
    let sessions =
        SessionTtls { idle: session_idle_ttl.unwrap_or(default.idle), max: session_max_ttl.unwrap_or(default.max) };
    Ok(Policy { sessions, branding: Branding { logo_uri, color: brand_color }, description })
}

pub fn write(sessions: &SessionTtls, branding: &Branding, description: Option<&str>) -> String {
    let SessionTtls { idle, max } = *sessions;
    let Branding { logo_uri, color } = branding.clone();
    let mirror = Mirror {
        session_idle_ttl: Some(idle),
        session_max_ttl: Some(max),
        logo_uri,
        brand_color: color,
        description: description.map(str::to_owned),
    };
    // Strings and numbers always serialise; an empty text would be refused when read.
    serde_json::to_string(&mirror).unwrap_or_default()
}
