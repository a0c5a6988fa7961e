//! Tells a newcomer, once and on stdout only, what was made and what to paste next. Never through
//! the logger: logs are kept and shipped, and this holds secrets.

use std::io::Write;

use secrecy::ExposeSecret;

use crate::engine::first_run::{FirstCredentials, FirstRun};

/// Writes the greeting of a very first start. Nothing at all on a later one.
pub fn announce(out: &mut impl Write, first: &FirstRun, issuer: &str) -> std::io::Result<()> {
    writeln!(out, "grantd is set up. Issuer: {issuer}")?;
    writeln!(out, "  metadata   {issuer}/.well-known/openid-configuration")?;
    writeln!(out, "  keys       {issuer}/.well-known/jwks.json")?;
    writeln!(out, "  token      {issuer}/oauth2/token")?;
    writeln!(out, "  admin API  {issuer}/admin/v1")?;
    let Some(FirstCredentials { api_key, client_id, client_secret }) = &first.credentials else {
        return out.flush();
    };
    let (api_key, client_secret) = (api_key.expose_secret(), client_secret.expose_secret());
    writeln!(out)?;
    writeln!(out, "These are shown this once; keep them:")?;
    writeln!(out, "  owner API key           {api_key}")?;
    writeln!(out, "  client first-service    {client_id}")?;
    writeln!(out, "  its secret              {client_secret}")?;
    writeln!(out)?;
    writeln!(out, "Ask for a token:")?;
    writeln!(out, "curl -s -u '{client_id}:{client_secret}' -d grant_type=client_credentials {issuer}/oauth2/token")?;
    out.flush()
}
