//! The words of the pages: one Fluent file a language in `templates/locales`, and the choice between
//! them: what the client asked for (`ui_locales`, OIDC Core §3.1.2.1), else `Accept-Language`
//! (RFC 9110 §12.5.4), else English.

use std::sync::LazyLock;

use actix_web::http::header::{self, HeaderMap};
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};

/// A language the pages speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    English,
    German,
}

/// All words in one language.
pub struct Texts {
    pub language: Language,
    bundle: FluentBundle<FluentResource>,
}

/// Entries of a header or parameter that are looked at.
const MOST_TAGS: usize = 32;

impl Language {
    /// The tag of the `lang` attribute.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::English => include_str!("../../templates/locales/en.ftl"),
            Self::German => include_str!("../../templates/locales/de.ftl"),
        }
    }

    pub fn texts(self) -> &'static Texts {
        static ENGLISH: LazyLock<Texts> = LazyLock::new(|| Texts::of(Language::English));
        static GERMAN: LazyLock<Texts> = LazyLock::new(|| Texts::of(Language::German));
        match self {
            Self::English => &ENGLISH,
            Self::German => &GERMAN,
        }
    }

    /// `de-AT` → German; the region does not matter, an unknown language is none.
    fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        [Self::English, Self::German].into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }
}

/// The language for a person: the first of `wanted` that is spoken here, else the browser's choice.
pub fn choose<'a>(wanted: impl IntoIterator<Item = &'a str>, headers: &HeaderMap) -> Language {
    let wanted = wanted.into_iter().take(MOST_TAGS).find_map(Language::of_tag);
    let accepted = || headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).and_then(accepted);
    wanted.or_else(accepted).unwrap_or(Language::English)
}

/// The best of an `Accept-Language`: highest `q` first, in order where they are equal, none at 0.
fn accepted(line: &str) -> Option<Language> {
    let mut best: Option<(u32, Language)> = None;
    for entry in line.split(',').take(MOST_TAGS) {
        let (tag, parameters) = entry.split_once(';').unwrap_or((entry, ""));
        let weight = weight(parameters.trim());
        if let Some(language) = Language::of_tag(tag.trim())
            && weight > best.map_or(0, |(known, _)| known)
        {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language)
}

/// `q=0.8` → 800; no parameter → 1000; what cannot be read → 0.
fn weight(parameter: &str) -> u32 {
    if parameter.is_empty() {
        return 1000;
    }
    let value = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
    let value = value.and_then(|value| value.parse::<f32>().ok()).filter(|value| (0.0..=1.0).contains(value));
    // At most 1000: nothing is lost.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    value.map_or(0, |value| (value * 1000.0).round() as u32)
}

impl Texts {
    fn of(language: Language) -> Self {
        let mut bundle = FluentBundle::new_concurrent(vec![language.tag().parse().unwrap_or_default()]);
        // A file with an error still has its other lines; a test sees to it that there is none.
        let words = FluentResource::try_new(language.source().to_owned()).unwrap_or_else(|(words, _errors)| words);
        if let Err(errors) = bundle.add_resource(words) {
            log::error!("the words of {} are broken: {errors:?}", language.tag());
        }
        Self { language, bundle }
    }

    /// The text with this key; the key itself if there is none.
    pub fn get(&self, key: &str, arguments: &[(&'static str, &str)]) -> String {
        let Some(pattern) = self.bundle.get_message(key).and_then(|message| message.value()) else {
            log::error!("no words for {key} in {}", self.language.tag());
            return key.to_owned();
        };
        let mut values = FluentArgs::new();
        for (name, value) in arguments {
            values.set(*name, *value);
        }
        let mut errors = Vec::new();
        self.bundle.format_pattern(pattern, Some(&values), &mut errors).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use actix_web::http::header::HeaderValue;

    use super::*;

    fn keys(language: Language) -> Vec<String> {
        let entries = language.source().lines().filter(|line| !line.starts_with(['#', ' ']));
        entries.filter_map(|line| Some(line.split_once(" = ")?.0.to_owned())).collect()
    }

    fn arguments(language: Language, key: &str) -> BTreeSet<String> {
        let prefix = format!("{key} = ");
        let line = language.source().lines().find(|line| line.starts_with(&prefix)).unwrap();
        line.split("{ $").skip(1).map(|rest| rest.split(' ').next().unwrap().to_owned()).collect()
    }

    /// All text below a folder of the checkout.
    fn text_below(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                text_below(&path, text);
            } else if !path.ends_with("locale.rs")
                && path.extension().is_some_and(|kind| kind == "rs" || kind == "html")
            {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }

    fn chosen(wanted: &[&str], accept: &str) -> &'static str {
        let mut headers = HeaderMap::new();
        if !accept.is_empty() {
            headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_str(accept).unwrap());
        }
        choose(wanted.iter().copied(), &headers).tag()
    }

    #[test]
    fn the_client_s_wish_then_the_browser_s_then_english() {
        assert_eq!(chosen(&["fr", "de-AT", "en"], "en"), "de");
        assert_eq!(chosen(&["fr"], "de"), "de");
        assert_eq!(chosen(&[], "en;q=0.4, de;q=0.5"), "de");
        assert_eq!(chosen(&[], "de-CH,de;q=0.9,en;q=0.8"), "de");
        assert_eq!(chosen(&[], "en, de"), "en");
        assert_eq!(chosen(&[], "de;q=0, fr"), "en");
        assert_eq!(chosen(&[], "de;q=9, *;;;, q=1"), "en");
        assert_eq!(chosen(&[], ""), "en");
    }

    #[test]
    fn both_languages_have_the_same_keys_with_the_same_arguments_and_no_errors() {
        let (english, german) = (keys(Language::English), keys(Language::German));
        assert_eq!(english, german);
        assert!(english.len() > 50, "the files were not understood");
        assert_eq!(english.iter().collect::<BTreeSet<_>>().len(), english.len(), "a key stands twice");
        for key in &english {
            assert_eq!(arguments(Language::English, key), arguments(Language::German, key), "{key}");
        }
        for language in [Language::English, Language::German] {
            assert!(FluentResource::try_new(language.source().to_owned()).is_ok());
            for key in &english {
                assert_ne!(language.texts().get(key, &[]), *key);
            }
        }
    }

    #[test]
    fn every_key_is_used_and_every_key_used_is_there() {
        let mut text = String::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        text_below(&root.join("templates"), &mut text);
        text_below(&root.join("src/web"), &mut text);
        let known: BTreeSet<String> = keys(Language::English).into_iter().collect();
        let unused: Vec<&String> = known.iter().filter(|key| !text.contains(&format!("\"{key}\""))).collect();
        assert!(unused.is_empty(), "{unused:?}");
        let after = |mark: &'static str| text.split(mark).skip(1).filter_map(|rest| rest.split('"').next());
        let used: Vec<&str> = ["ui.t(\"", "ui.with(\"", "ui.with_two(\""].into_iter().flat_map(after).collect();
        assert!(used.len() > 30, "the templates were not understood");
        let missing: Vec<&&str> = used.iter().filter(|key| !known.contains(**key)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn a_name_is_kept_apart_from_the_sentence() {
        let sentence = Language::English.texts().get("login-for", &[("client", "App\u{202E}")]);
        assert_eq!(sentence, "to continue to \u{2068}App\u{202E}\u{2069}");
    }
}
