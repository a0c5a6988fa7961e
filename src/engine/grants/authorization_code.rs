//! RFC 6749 §4.1.3 with PKCE (RFC 7636): a code is redeemed once. A wrong client, redirect_uri or
//! verifier changes nothing; the right one a second time ends the grant (§4.1.2).

use secrecy::{ExposeSecret, SecretString};

use crate::crypto::credential::is_well_formed;
use crate::crypto::hashes::verifier_fits;
use crate::domain::explanation::{Fact, facts};
use crate::domain::grant::{Ask, Granted};
use crate::domain::secret::SecretKind;
use crate::domain::token::Epochs;
use crate::domain::{AuthorizationCode, Context, Decision, Failed, Fault, Refusal, RefusalKind};
use crate::engine::cache::clients::ClientEntry;
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::grants::person::{NewGrant, Parties, Prepared, over};
use crate::engine::revoke::{end_grant, grant_revocation};
use crate::engine::{Engine, policy};
use crate::store::{codes, refresh_families, session_clients};

/// What stands in the request beside the code.
pub(in crate::engine) struct Redemption<'a> {
    pub code: &'a SecretString,
    pub redirect_uri: Option<&'a str>,
    pub verifier: Option<&'a SecretString>,
}

impl Engine {
    pub(in crate::engine) async fn code_grant(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client: &ClientEntry,
        redemption: Redemption<'_>,
        ask: &Ask,
    ) -> Result<Granted, Failed> {
        let code = self.find_code(ctx, redemption.code.expose_secret()).await?;
        let code = code.filter(|code| code.grant.provider == provider.provider.id);
        let code = code.ok_or_else(|| bad("no such code").because("code.known", facts![]))?;
        judge(&code, client, &redemption)?;
        if code.spent_at.is_some() {
            let event = self.grant_event(ctx, &code.grant, "code.replayed");
            self.revoke_grant(ctx, provider, code.grant.id, Some(event)).await?;
            let spent_at = Fact::Time(code.spent_at.unwrap_or_default());
            return Err(replayed().because("code.unspent", facts![spent_at: spent_at]).into());
        }
        // A code from the future was made by a wrong clock, or ours went back: it would live too long.
        if code.expires_at <= ctx.now.seconds() || ctx.now.seconds_since(code.created_at).is_none() {
            let expired_at = Fact::Time(code.expires_at);
            return Err(bad("an expired code").because("code.live", facts![expired_at: expired_at]).into());
        }
        let prepared = self.prepare_redemption(ctx, provider, client, &code, ask).await?;
        self.redeem(ctx, provider, client, &code, prepared).await
    }

    async fn find_code(&self, ctx: &Context, text: &str) -> Result<Option<AuthorizationCode>, Fault> {
        // Junk never reaches the database.
        if !is_well_formed(SecretKind::AuthorizationCode, text) {
            return Ok(None);
        }
        let candidates = self.secrets().peppers.candidates(text);
        let find = move |conn: &mut _| {
            for (pepper_id, digest) in &candidates {
                if let Some(code) = codes::by_digest(conn, pepper_id, digest)? {
                    return Ok(Some(code));
                }
            }
            Ok(None)
        };
        self.0.db.read(ctx.deadline, find).await
    }

    /// The tokens are made before the code is spent: what fails here can be tried again.
    async fn prepare_redemption(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client: &ClientEntry,
        code: &AuthorizationCode,
        ask: &Ask,
    ) -> Result<Prepared, Failed> {
        let grant = code.grant.clone();
        let narrowed = policy::narrowed(&grant, client, ask)?;
        let user = self.user(ctx, &provider.provider.id, &grant.user).await?;
        let user = user.ok_or_else(|| over("there is no such account"))?;
        let mut epochs =
            Epochs { provider: provider.provider.epoch, client: client.epoch, user: user.user.epoch, session: 0 };
        // Also with offline_access: who logged out meanwhile gives no new grant.
        if let Some(session) = &grant.session {
            epochs.session = self.live_session(ctx, provider, session, &grant.user).await?.epoch;
        }
        if !code.epochs.reach(epochs) {
            return Err(over("everything of this person, client, session or provider was revoked"));
        }
        let new = NewGrant {
            grant,
            nonce: code.nonce.clone(),
            may_refresh: true,
            ends_at: None,
            max_ttl: None,
            issued_token_type: None,
            force_jwt: ask.force_jwt,
        };
        self.prepare(ctx, Parties { provider, client, user: &user }, new, narrowed).await
    }

    /// One job: the code is spent and its family stands, or the grant is over because somebody else
    /// was faster.
    async fn redeem(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client: &ClientEntry,
        code: &AuthorizationCode,
        prepared: Prepared,
    ) -> Result<Granted, Failed> {
        let Prepared { granted, family } = prepared;
        let wants_logout = client.policy().is_some_and(|policy| policy.backchannel_logout_uri.is_some());
        let told = code.grant.session.clone().filter(|_| wants_logout);
        let revocation = grant_revocation(provider, code.grant.id, ctx.now);
        let event = self.grant_event(ctx, &code.grant, "code.replayed");
        let (row, owner, now) = (revocation.clone(), client.client_id.clone(), ctx.now);
        let spent = self.0.db.write(ctx.deadline, move |tx| {
            if !codes::spend(tx, &row.id, now)? {
                end_grant(tx, &row, Some(&event), now)?;
                return Ok(Decision::Refuse(replayed()));
            }
            if let Some(family) = &family {
                refresh_families::insert(tx, family)?;
            }
            if let Some(session) = &told {
                session_clients::note(tx, session, &owner, now)?;
            }
            Ok(Decision::Allow(()))
        });
        match spent.await? {
            Decision::Allow(()) => Ok(granted),
            Decision::Refuse(refusal) => {
                self.0.revocations.insert(&revocation);
                Err(refusal.into())
            }
        }
    }
}

/// Whether the one who presents the code is the one it was made for. Whether it is still worth
/// something is not judged here.
fn judge(code: &AuthorizationCode, client: &ClientEntry, redemption: &Redemption<'_>) -> Result<(), Refusal> {
    if code.grant.client != client.client_id {
        return Err(bad("a code of another client").because("code.client", facts![]));
    }
    judge_redirect(code, redemption.redirect_uri).map_err(|refusal| refusal.because("code.redirect_uri", facts![]))?;
    let verifier = redemption.verifier.map(ExposeSecret::expose_secret);
    judge_verifier(code.code_challenge.as_deref(), verifier, client.is_public()).map_err(|refusal| {
        let because = Fact::text(&refusal.about);
        refusal.because("pkce.verifier", facts![because: because])
    })
}

/// RFC 6749 §4.1.3: what was sent must be sent again, byte for byte; what was not may be left out.
fn judge_redirect(code: &AuthorizationCode, sent: Option<&str>) -> Result<(), Refusal> {
    match sent {
        Some(uri) if uri == code.redirect_uri => Ok(()),
        None if !code.redirect_uri_sent => Ok(()),
        Some(_) => Err(bad("redirect_uri differs from the authorization request's")),
        None => Err(bad("redirect_uri is missing and was sent in the authorization request")),
    }
}

/// RFC 7636 §4.6, RFC 9700 §2.1.1: challenge and verifier belong together, and a client without a
/// credential of its own gets nothing without them.
fn judge_verifier(challenge: Option<&str>, verifier: Option<&str>, is_public: bool) -> Result<(), Refusal> {
    match (challenge, verifier) {
        (Some(challenge), Some(verifier)) if is_verifier(verifier) && verifier_fits(verifier, challenge) => Ok(()),
        (Some(_), Some(_)) => Err(bad("code_verifier does not fit the challenge")),
        (Some(_), None) => Err(bad("code_verifier is missing")),
        (None, Some(_)) => Err(bad("code_verifier without a challenge")),
        (None, None) if is_public => Err(bad("a public client's code without a challenge")),
        (None, None) => Ok(()),
    }
}

/// RFC 7636 §4.1: 43 to 128 unreserved characters.
fn is_verifier(text: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

/// One answer for all of them; which it was is for the log.
fn bad(why: &'static str) -> Refusal {
    Refusal::new(RefusalKind::InvalidGrant, "The code is not valid.").about(why)
}

fn replayed() -> Refusal {
    bad("a code that was spent: its grant is revoked")
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn challenge_and_verifier_belong_together() {
        for public in [true, false] {
            assert!(judge_verifier(Some(CHALLENGE), Some(VERIFIER), public).is_ok());
            for wrong in [None, Some(""), Some(CHALLENGE), Some(&VERIFIER[1..]), Some(&VERIFIER.to_lowercase())] {
                assert!(judge_verifier(Some(CHALLENGE), wrong, public).is_err(), "{wrong:?}");
            }
            assert!(judge_verifier(None, Some(VERIFIER), public).is_err());
        }
        assert!(judge_verifier(None, None, false).is_ok());
        assert!(judge_verifier(None, None, true).is_err());
    }

    #[test]
    fn a_verifier_outside_rfc_7636_is_refused_even_if_its_hash_fits() {
        let short = "a".repeat(42);
        assert!(!is_verifier(&short) && !is_verifier(&"a".repeat(129)) && !is_verifier(&"ä".repeat(43)));
        assert!(!is_verifier(&format!("{}+", "a".repeat(43))) && !is_verifier(&format!("{} ", "a".repeat(43))));
        assert!(is_verifier(&"a".repeat(43)) && is_verifier(&"~".repeat(128)));
        let challenge = crate::crypto::hashes::s256(&short);
        assert!(verifier_fits(&short, &challenge));
        assert!(judge_verifier(Some(&challenge), Some(&short), false).is_err());
    }
}
