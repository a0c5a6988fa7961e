//! Why a request was decided as it was: the rules that were asked, with what values. A [`Trail`] goes
//! along with the request and gathers them; what comes of it at the end is an [`Explanation`]. Neither
//! ever holds a secret.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::external::Outcome;
use crate::domain::hidden::without_credentials;
use crate::domain::{ApiKeyId, ClientId, Context, Failed, Fault, ProviderId, Refusal, UnixTime};

type Word = Cow<'static, str>;

/// Longest text of a value, characters.
const MAX_TEXT: usize = 200;
/// Longest sentence, characters.
pub const MAX_SENTENCE: usize = 600;
/// Most items of a list that are shown.
const MAX_ITEMS: usize = 20;
/// Most rules of one request.
const MAX_STEPS: usize = 40;
/// What stands for something that looks like a credential.
pub const HIDDEN: &str = "(looks like a secret)";

/// A value that a rule looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    Text(Word),
    Number(i64),
    /// Epoch seconds.
    Time(i64),
    Flag(bool),
    List(Vec<String>),
}

/// Values by name.
pub type Facts = Vec<(Word, Fact)>;

impl Fact {
    /// A fixed word.
    pub const fn word(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// What came in or is configured, cut and without what looks like a secret.
    pub fn text(text: &str) -> Self {
        Self::Text(Cow::Owned(shown(text)))
    }

    pub fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> Self {
        Self::List(items.into_iter().take(MAX_ITEMS).map(shown).collect())
    }
}

/// A text as it may be shown: cut, without control characters, and without what looks like a credential.
pub fn shown(text: &str) -> String {
    censored(text, MAX_TEXT)
}

/// As [`shown`], with another longest length in characters.
pub fn censored(text: &str, longest: usize) -> String {
    // First what nobody sees: it would part a credential in two.
    let visible: String = text.chars().filter(|character| !character.is_control()).collect();
    without_credentials(&visible, HIDDEN).chars().take(longest).collect()
}

/// One rule that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Dotted, as `client.secret` or `scope.allowed`.
    pub rule: Word,
    pub outcome: Outcome,
    pub values: Facts,
}

/// What a refusal is for, where its kind does not say it all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub rule: &'static str,
    pub values: Facts,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Granted,
    Refused,
    /// On our side.
    Failed,
}

impl Ending {
    pub const ALL: [Self; 3] = [Self::Granted, Self::Refused, Self::Failed];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ending| ending.name() == name)
    }
}

/// The API key that a request came with. Its facts are shown to its own provider only, and to keys that are bound
/// to none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedKey {
    pub id: ApiKeyId,
    /// The provider that it is bound to.
    pub provider: Option<ProviderId>,
}

/// Why one request was decided as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub request_id: String,
    pub at: UnixTime,
    /// The process that decided.
    pub node: Word,
    pub surface: Word,
    /// What was asked for, as `token` or `introspection`.
    pub kind: Word,
    pub outcome: Ending,
    pub client: Option<ClientId>,
    pub key: Option<UsedKey>,
    pub provider: Option<ProviderId>,
    pub address: IpAddr,
    /// The rule that decided.
    pub rule: Word,
    pub sentence: Word,
    pub steps: Vec<Step>,
    /// Of the same kind, client and address so many more were decided and not written.
    pub skipped: u64,
}

impl Explanation {
    /// Bytes that it holds, roughly.
    pub fn weight(&self) -> usize {
        let fact = |(name, fact): &(Word, Fact)| {
            let text = match fact {
                Fact::Text(Cow::Owned(text)) => text.len(),
                Fact::List(items) => items.iter().map(|item| item.len() + size_of::<String>()).sum(),
                _ => 0,
            };
            size_of::<(Word, Fact)>() + text + if let Cow::Owned(name) = name { name.len() } else { 0 }
        };
        let step = |step: &Step| size_of::<Step>() + step.values.iter().map(fact).sum::<usize>();
        let steps: usize = self.steps.iter().map(step).sum();
        size_of::<Self>() + self.request_id.len() + self.sentence.len() + steps
    }
}

/// How an exchange ended, as the edge saw it.
#[derive(Clone, Copy, Debug)]
pub enum End<'a> {
    /// With the answer of its handler.
    Answered,
    Refused(&'a Refusal),
    Failed(&'a Fault),
    /// Before there was anything to judge: no such path or method, or a body that could not be read.
    Turned(&'static str),
}

impl<'a> End<'a> {
    /// What came of a handler.
    pub fn of<T>(outcome: &'a Result<T, Failed>) -> Self {
        match outcome {
            Ok(_) => Self::Answered,
            Err(Failed::Refused(refusal)) => Self::Refused(refusal),
            Err(Failed::Fault(fault)) => Self::Failed(fault),
        }
    }
}

/// Keeps explanations.
pub trait Witness: Send + Sync {
    fn ended(&self, ctx: &Context, end: End<'_>);
}

/// What is gathered while a request is judged; clones are one.
#[derive(Clone, Default)]
pub struct Trail(Arc<Mutex<Noted>>);

/// What a trail holds at the end.
#[derive(Clone, Debug, Default)]
pub struct Noted {
    /// What was asked for; `None`: nothing that is decided.
    pub kind: Option<&'static str>,
    pub provider: Option<ProviderId>,
    pub client: Option<ClientId>,
    pub key: Option<UsedKey>,
    /// The provider that the request had named when its API key was looked for.
    pub provider_before_key: Option<ProviderId>,
    pub steps: Vec<Step>,
    /// A "no" that leaves as a success, as `{"active": false}`, or as a page.
    pub refused: Option<(&'static str, String)>,
}

impl Trail {
    /// What is being decided.
    pub fn kind(&self, kind: &'static str) {
        self.lock().kind = Some(kind);
    }

    pub fn provider(&self, provider: &ProviderId) {
        self.lock().provider = Some(provider.clone());
    }

    /// An API key that exists. The provider that it is bound to stands in where the request has named none yet.
    pub fn key(&self, key: UsedKey) {
        let mut noted = self.lock();
        noted.provider_before_key = noted.provider.clone();
        noted.client = Some(key.id.as_str().into());
        noted.provider = noted.provider.take().or_else(|| key.provider.clone());
        noted.key = Some(key);
    }

    /// A client that exists: never what somebody typed.
    pub fn client(&self, client: &ClientId) {
        self.lock().client = Some(client.clone());
    }

    pub fn passed(&self, rule: &'static str, values: Facts) {
        self.step(Step { rule: Cow::Borrowed(rule), outcome: Outcome::Passed, values });
    }

    pub fn failed(&self, rule: &'static str, values: Facts) {
        self.step(Step { rule: Cow::Borrowed(rule), outcome: Outcome::Failed, values });
    }

    pub fn step(&self, step: Step) {
        let mut noted = self.lock();
        if noted.steps.len() < MAX_STEPS && !noted.steps.contains(&step) {
            noted.steps.push(step);
        }
    }

    /// Whether further steps would be dropped.
    pub fn is_full(&self) -> bool {
        self.lock().steps.len() >= MAX_STEPS
    }

    /// A "no" that leaves the engine as an answer.
    pub fn refused(&self, rule: &'static str, sentence: impl Into<String>) {
        self.lock().refused = Some((rule, sentence.into()));
    }

    /// A refusal that its handler answers itself, with a page or a form.
    pub fn refused_as(&self, refusal: &Refusal) {
        let values = refusal.cause.as_ref().map(|cause| cause.values.clone()).unwrap_or_default();
        self.failed(refusal.rule(), values);
        self.refused(refusal.rule(), censored(&refusal.to_string(), MAX_SENTENCE));
    }

    /// Takes what was gathered.
    pub fn take(&self) -> Noted {
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Trail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trail")
    }
}

/// `facts![asked: Fact::text(x), allowed: Fact::list(y)]`.
macro_rules! facts {
    ($($name:ident : $fact:expr),* $(,)?) => {
        vec![$((std::borrow::Cow::Borrowed(stringify!($name)), $fact)),*]
    };
}
pub(crate) use facts;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_credential_is_never_shown() {
        for (text, expected) in [
            ("gs_abcdefghijklmnop", HIDDEN.to_owned()),
            ("https://a.example/?token=ga_abcdefghijklmnop", format!("https://a.example/?token={HIDDEN}")),
            ("\"gr_abc\ndefghi\u{1b}jklmnop\"", format!("\"{HIDDEN}\"")),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        for plain in ["orders:read", "https://api.example/", "eye", "ga_1", "key", "eyes.read"] {
            assert_eq!(shown(plain), plain);
        }
        assert_eq!(shown(&"x".repeat(300)).len(), MAX_TEXT);
        assert_eq!(shown("a\nb"), "ab");
    }

    #[test]
    fn a_trail_is_bounded_and_taken_once_and_says_nothing_twice() {
        let trail = Trail::default();
        for _ in 0..2 {
            trail.passed("a.b", facts![n: Fact::Number(1)]);
        }
        assert_eq!(trail.take().steps.len(), 1);
        for n in 0..100 {
            trail.clone().passed("a.b", facts![n: Fact::Number(n)]);
        }
        assert!(trail.is_full());
        assert_eq!(trail.take().steps.len(), MAX_STEPS);
        assert!(trail.take().steps.is_empty());
    }
}
