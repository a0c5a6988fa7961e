//! Which certificates a server proved itself with. A server may show any certificate in the world
//! beside its own; only those that really vouch for it count, or whoever gets one certificate for the
//! name from any authority could show the expected one next to it.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::crypto::hashes::certificate_digests;

/// Certificates beyond the server's own that are looked at.
const MAX_CHAIN: usize = 8;

/// Digests of the certificates that vouch for one server, its own first; none for one without TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates(Vec<[String; 2]>);

impl Certificates {
    /// Whether one of them has one of these fingerprints (lower-case hexadecimal).
    pub fn have_one_of(&self, fingerprints: &[String]) -> bool {
        self.0.iter().flatten().any(|digest| fingerprints.contains(digest))
    }
}

/// Judges as the verifier within, and keeps which certificates vouched. For one call only.
#[derive(Debug)]
pub struct Noting {
    within: Arc<dyn ServerCertVerifier>,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Certificates>,
}

impl Noting {
    pub fn new(within: Arc<dyn ServerCertVerifier>, provider: Arc<CryptoProvider>) -> Self {
        Self { within, provider, seen: Mutex::new(Certificates::default()) }
    }

    /// Of the last server that was believed.
    pub fn seen(&self) -> Certificates {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the server's certificate leads up to this one: it is believed when nothing else is.
    fn vouches(&self, certificate: &CertificateDer<'_>, shown: &Shown<'_>) -> bool {
        let mut anchor = RootCertStore::empty();
        if anchor.add(certificate.clone().into_owned()).is_err() {
            return false;
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(anchor), Arc::clone(&self.provider));
        let Ok(verifier) = verifier.build() else { return false };
        verifier.verify_server_cert(shown.own, shown.others, shown.name, &[], shown.now).is_ok()
    }
}

/// What a server showed.
struct Shown<'a> {
    own: &'a CertificateDer<'a>,
    others: &'a [CertificateDer<'a>],
    name: &'a ServerName<'a>,
    now: UnixTime,
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.within.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        let shown = Shown { own: end_entity, others: intermediates, name: server_name, now };
        let mut digests = vec![certificate_digests(end_entity)];
        let vouching = intermediates.iter().take(MAX_CHAIN).filter(|certificate| self.vouches(certificate, &shown));
        digests.extend(vouching.map(|certificate| certificate_digests(certificate)));
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Certificates(digests);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.within.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.within.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.within.supported_verify_schemes()
    }
}
