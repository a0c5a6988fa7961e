//! The one definition of a key. `section!` makes, from one list, the struct with its doc comments,
//! its defaults, the reader, the reference and the effective listing: none of them can drift.
//!
//! It is not serde: `deny_unknown_fields` stops at the first slip and its messages may quote the
//! value, which may be a secret. Here every slip is told at once, by key, and no value is quoted.

use crate::config::setting::Setting;
use crate::config::source::Reader;

/// One documented key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Dotted, as in the file: `passwords.memory_kib`.
    pub name: String,
    /// What a value looks like, in words.
    pub kind: &'static str,
    /// As it would be written; `–` for none.
    pub default: String,
    /// What it means, in sentences.
    pub doc: String,
    /// A secret can also be given as `<name>_file`, and is never printed.
    pub secret: bool,
}

impl Key {
    /// The environment variable: `GRANTD_PASSWORDS__MEMORY_KIB`.
    pub fn variable(&self) -> String {
        variable_of(&self.name)
    }

    /// The key that names a file with the secret in it; `None` for what is no secret.
    pub fn file_name(&self) -> Option<String> {
        self.secret.then(|| format!("{}_file", self.name))
    }
}

pub(super) fn variable_of(name: &str) -> String {
    format!("GRANTD_{}", name.replace('.', "__").to_ascii_uppercase())
}

/// What `section!` makes of its list. `at` is the dotted path of the section, `""` at the top.
pub(super) trait Section: Rules + Default {
    fn keys(at: &str, out: &mut Vec<Key>);
    fn read(at: &str, from: &mut Reader) -> Self;
    /// Key and value of each, secrets as `(set)`.
    fn show(&self, at: &str, out: &mut Vec<(String, String)>);
    /// This section's rules and those of the sections in it.
    fn check(&self, at: &str, slips: &mut Slips);
}

/// What must hold beyond the type of a value.
pub(super) trait Rules {
    fn validate(&self, _slips: &mut Slips<'_>) {}
}

/// Collects the sentences about one section.
pub(super) struct Slips<'a> {
    at: String,
    all: &'a mut Vec<String>,
}

impl<'a> Slips<'a> {
    pub fn new(all: &'a mut Vec<String>) -> Self {
        Self { at: String::new(), all }
    }

    pub fn within(&mut self, at: &str) -> Slips<'_> {
        Slips { at: at.to_owned(), all: self.all }
    }

    /// `key` is the bare name of the field; `rule` goes on the sentence: `must be …`.
    pub fn add(&mut self, key: &str, rule: &str) {
        let name = join(&self.at, key);
        self.all.push(format!("`{name}` {rule}."));
    }

    pub fn unless(&mut self, holds: bool, key: &str, rule: &str) {
        if !holds {
            self.add(key, rule);
        }
    }
}

pub(super) fn join(at: &str, field: &str) -> String {
    if at.is_empty() { field.to_owned() } else { format!("{at}.{field}") }
}

pub(super) fn key<T: Setting>(at: &str, field: &str, default: &T, doc: &[&str]) -> Key {
    let doc = doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ").trim().to_owned();
    Key { name: join(at, field), kind: T::KIND, default: default.show(), doc, secret: T::SECRET }
}

/// ```text
/// section! {
///     /// What the section is for.
///     Passwords {
///         /// What the key means.
///         queue: u32 = 64,
///     }
///     sections { /// …
///         inner: Inner }
/// }
/// ```
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $name:ident {
            $( $(#[doc = $doc:literal])+ $field:ident : $kind:ty = $default:expr, )*
        }
        $( sections { $( $(#[doc = $inner_doc:literal])+ $inner:ident : $inner_kind:ty, )+ } )?
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $kind, )*
            $( $( $(#[doc = $inner_doc])+ pub $inner: $inner_kind, )+ )?
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $( $field: $default, )*
                    $( $( $inner: Default::default(), )+ )?
                }
            }
        }

        impl $crate::config::section::Section for $name {
            fn keys(at: &str, out: &mut Vec<$crate::config::section::Key>) {
                let default = Self::default();
                $( out.push($crate::config::section::key(at, stringify!($field), &default.$field, &[$($doc),+])); )*
                $( $( <$inner_kind as $crate::config::section::Section>::keys(
                    &$crate::config::section::join(at, stringify!($inner)), out); )+ )?
                let _ = &default;
            }

            fn read(at: &str, from: &mut $crate::config::source::Reader) -> Self {
                let default = Self::default();
                let _ = &default;
                Self {
                    $( $field: from.read(&$crate::config::section::join(at, stringify!($field)), default.$field), )*
                    $( $( $inner: <$inner_kind as $crate::config::section::Section>::read(
                        &$crate::config::section::join(at, stringify!($inner)), from), )+ )?
                }
            }

            fn show(&self, at: &str, out: &mut Vec<(String, String)>) {
                $( out.push((
                    $crate::config::section::join(at, stringify!($field)),
                    $crate::config::setting::Setting::show(&self.$field),
                )); )*
                $( $( $crate::config::section::Section::show(
                    &self.$inner, &$crate::config::section::join(at, stringify!($inner)), out); )+ )?
            }

            fn check(&self, at: &str, slips: &mut $crate::config::section::Slips<'_>) {
                $crate::config::section::Rules::validate(self, &mut slips.within(at));
                $( $( $crate::config::section::Section::check(
                    &self.$inner, &$crate::config::section::join(at, stringify!($inner)), slips); )+ )?
            }
        }
    };
}

pub(super) use section;
