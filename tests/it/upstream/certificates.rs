//! Which certificates a server proved itself with: those that vouch for it, and no others it shows.

use grantd::domain::Owner;
use grantd::domain::trust::fingerprint;
use grantd::upstream::{Fetcher, KeySource, PublishedKeys, UpstreamOptions};
use serde_json::json;

use crate::support::databases::{block_on, soon};
use crate::support::jose::Signer;
use crate::support::origin::{Origin, Reply};
use crate::support::tls::{Authority, Certificate, TlsOrigin};

fn jwks() -> String {
    json!({"keys": [Signer::es256().jwk("k1")]}).to_string()
}

/// Whether the keys at this place come from servers with one of these fingerprints, for somebody who
/// trusts these authorities; or why there are none.
fn come_by(source: &KeySource, trusted: &[&Authority], fingerprints: &[String]) -> Result<bool, String> {
    let options = UpstreamOptions {
        allow_networks: vec!["127.0.0.1".parse().unwrap()],
        extra_roots: trusted.iter().map(|authority| authority.certificate("root").0).collect(),
        ..UpstreamOptions::default()
    };
    let wanted: Vec<String> = fingerprints.iter().map(|text| fingerprint(text).expect("no fingerprint")).collect();
    block_on(async {
        let keys = PublishedKeys::new(Fetcher::new(options))
            .keys(&Owner::Installation, source, Some("k1"), "ES256", soon())
            .await;
        keys.map(|keys| keys.come_by(&wanted)).map_err(|flaw| flaw.to_string())
    })
}

#[test]
fn a_servers_own_certificate_and_those_above_it_are_known_by_either_digest() {
    let (authority, stranger) = (Authority::new("own"), Authority::new("stranger"));
    let origin = TlsOrigin::issuer(&authority, &[authority.certificate("middle")], jwks(), None);
    for source in [KeySource::Issuer(origin.base.clone()), KeySource::Url(format!("{}/jwks", origin.base))] {
        let known = |fingerprints: &[String]| come_by(&source, &[&authority], fingerprints);
        let (server, middle) = (authority.certificate("server"), authority.certificate("middle"));
        for digest in [server.sha1(), server.sha256(), middle.sha1(), middle.sha256().to_lowercase()] {
            assert_eq!(known(std::slice::from_ref(&digest)), Ok(true), "{digest}");
            assert_eq!(known(&["0".repeat(40), digest]), Ok(true), "one of several is enough");
        }
        // The root is not shown, so nobody can say that it was it.
        for other in [authority.certificate("root"), stranger.certificate("middle"), stranger.certificate("server")] {
            assert_eq!(known(&[other.sha1(), other.sha256()]), Ok(false));
        }
        assert_eq!(known(&[]), Ok(false));
    }
}

#[test]
fn a_certificate_that_is_shown_and_vouches_for_nothing_is_none() {
    let (pinned, other) = (Authority::new("pinned"), Authority::new("other"));
    let expected: Vec<Certificate> = ["server", "middle", "root"].iter().map(|part| pinned.certificate(part)).collect();
    // The server has a certificate of another authority that the machine trusts, and shows the expected
    // ones beside it.
    let shown = [&[other.certificate("middle")], &expected[..]].concat();
    let origin = TlsOrigin::issuer(&other, &shown, jwks(), None);
    let source = KeySource::Issuer(origin.base.clone());
    for certificate in &expected {
        assert_eq!(come_by(&source, &[&pinned, &other], &[certificate.sha1(), certificate.sha256()]), Ok(false));
    }
    assert_eq!(come_by(&source, &[&pinned, &other], &[other.certificate("middle").sha256()]), Ok(true));
}

#[test]
fn a_fingerprint_does_not_replace_trust() {
    let authority = Authority::new("nobody's");
    let middle = authority.certificate("middle");
    let origin = TlsOrigin::issuer(&authority, std::slice::from_ref(&middle), jwks(), None);
    let refused = come_by(&KeySource::Issuer(origin.base), &[], &[middle.sha1()]).unwrap_err();
    assert!(refused.contains("no connection could be made, or its certificate is not trusted"), "{refused}");
}

#[test]
fn every_server_that_is_asked_must_show_one() {
    let (of_issuer, of_keys) = (Authority::new("issuer"), Authority::new("keys"));
    let keys = TlsOrigin::serving(&of_keys, &[of_keys.certificate("middle")], {
        let jwks = jwks();
        move |_base, _path| jwks.clone()
    });
    let middle = of_issuer.certificate("middle");
    let issuer =
        TlsOrigin::issuer(&of_issuer, std::slice::from_ref(&middle), jwks(), Some(format!("{}/keys", keys.base)));
    let source = KeySource::Issuer(issuer.base);
    let known = |fingerprints: &[String]| come_by(&source, &[&of_issuer, &of_keys], fingerprints);
    let (of_issuer, of_keys) = (middle.sha1(), of_keys.certificate("middle").sha1());
    assert_eq!(known(std::slice::from_ref(&of_issuer)), Ok(false), "the keys came from a server that nobody named");
    assert_eq!(known(std::slice::from_ref(&of_keys)), Ok(false), "and where they lie was said by one");
    assert_eq!(known(&[of_issuer, of_keys]), Ok(true));
}

#[test]
fn a_server_without_tls_shows_nothing() {
    let origin = Origin::always(Reply::json(jwks()));
    assert_eq!(come_by(&KeySource::Url(origin.base.clone()), &[], &["0".repeat(64)]), Ok(false));
}
