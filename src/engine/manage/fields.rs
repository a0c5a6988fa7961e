//! Collects what is wrong with the fields of a change, all of it, each with its JSON pointer.

use crate::domain::patch::Field;
use crate::domain::refusal::FieldError;
use crate::domain::{AudienceSet, Refusal, ScopeSet};

/// Gathers field errors while values are read.
#[derive(Debug, Default)]
pub struct Checks {
    errors: Vec<FieldError>,
    changed: Vec<&'static str>,
}

impl Checks {
    /// Goes on after what was found wrong already.
    pub fn after(errors: Vec<FieldError>) -> Self {
        Self { errors, changed: Vec::new() }
    }

    /// What is wrong, for another round of checks to go on after.
    pub fn into_errors(self) -> Vec<FieldError> {
        self.errors
    }

    /// The first thing that is wrong with a field; what follows from it is not told too.
    pub fn refuse(&mut self, name: &str, detail: impl Into<String>) {
        let pointer = format!("/{name}");
        if self.errors.iter().all(|error| error.pointer != pointer) {
            self.errors.push(FieldError { pointer, detail: detail.into() });
        }
    }

    /// The names of the fields that were set, or the refusal of what is wrong.
    pub fn finish(self) -> Result<Vec<&'static str>, Refusal> {
        if self.errors.is_empty() { Ok(self.changed) } else { Err(Refusal::invalid(self.errors)) }
    }

    /// The value a field has afterwards; one that `read` refuses stays as it was, with an error.
    pub fn apply<T: Clone + PartialEq, U, E: ToString>(
        &mut self,
        name: &'static str,
        field: Field<U>,
        (current, default): (&T, T),
        read: impl FnOnce(U) -> Result<T, E>,
    ) -> T {
        let after = match field.try_map(read) {
            Ok(field) => field.over(current.clone(), default),
            Err(error) => {
                self.refuse(name, error.to_string());
                return current.clone();
            }
        };
        if after != *current {
            self.changed.push(name);
        }
        after
    }

    /// As [`Checks::apply`], for a value that may be absent and is by default.
    pub fn optional<T: Clone + PartialEq, U, E: ToString>(
        &mut self,
        name: &'static str,
        field: Field<U>,
        current: &Option<T>,
        read: impl FnOnce(U) -> Result<T, E>,
    ) -> Option<T> {
        self.apply(name, field, (current, None), |value| read(value).map(Some))
    }
}

/// `"a b"`; the field error says what a scope is.
pub fn scope(text: String) -> Result<ScopeSet, String> {
    ScopeSet::parse(&text).map_err(|error| error.to_string())
}

pub fn audience(values: Vec<String>) -> Result<AudienceSet, String> {
    AudienceSet::of(values.iter().map(String::as_str)).map_err(|error| error.to_string())
}

/// Marks that change the direction of what stands beside them (Unicode UAX #9): a name shall not
/// rewrite the sentence it stands in.
const REORDERING: [char; 12] = [
    '\u{200E}', '\u{200F}', '\u{061C}', '\u{202A}', '\u{202B}', '\u{202C}', '\u{202D}', '\u{202E}', '\u{2066}',
    '\u{2067}', '\u{2068}', '\u{2069}',
];

/// A name a person reads: 1 to 255 characters, no control characters.
pub fn label(text: String) -> Result<String, String> {
    let is_odd = |character: char| character.is_control() || REORDERING.contains(&character);
    let fits = (1..=255).contains(&text.chars().count()) && !text.chars().any(is_odd);
    if fits { Ok(text) } else { Err("must be 1 to 255 characters without control characters".to_owned()) }
}

/// A lifetime or interval in seconds.
pub fn seconds(least: i64, most: i64) -> impl Fn(i64) -> Result<i64, String> {
    move |value| {
        let fits = (least..=most).contains(&value);
        if fits { Ok(value) } else { Err(format!("must be {least} to {most} seconds")) }
    }
}

/// One of the names of an enumeration.
pub fn one_of<T>(from_name: impl Fn(&str) -> Option<T>, names: &str) -> impl Fn(String) -> Result<T, String> {
    move |name| from_name(&name).ok_or_else(|| format!("must be one of {names}"))
}

/// A switch whose enforcement this release does not have may stay off only.
pub fn not_built(on: bool) -> Result<bool, &'static str> {
    if on { Err("is not supported by this release") } else { Ok(on) }
}

/// Takes the value as it is.
pub fn any<T>(value: T) -> Result<T, &'static str> {
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_field_is_named_and_every_changed_one_listed() {
        let mut checks = Checks::default();
        let ttl = checks.apply("ttl", Field::Set(5), (&1, 1), seconds(1, 10));
        assert_eq!(ttl, 5);
        let kept = checks.apply("other", Field::Set(11), (&1, 1), seconds(1, 10));
        assert_eq!(kept, 1);
        checks.optional("name", Field::Set(String::new()), &None, label);
        let Err(refusal) = checks.finish() else { panic!("must be refused") };
        let crate::domain::RefusalKind::Invalid(errors) = refusal.kind else { panic!("{refusal:?}") };
        assert_eq!(errors.iter().map(|error| error.pointer.as_str()).collect::<Vec<_>>(), ["/other", "/name"]);
    }

    #[test]
    fn null_puts_the_default_back() {
        let mut checks = Checks::default();
        assert_eq!(checks.apply("ttl", Field::Reset, (&7, 3), seconds(1, 10)), 3);
        assert_eq!(checks.optional("name", Field::Reset, &Some("x".to_owned()), label), None);
        assert_eq!(checks.finish().unwrap(), ["ttl", "name"]);
    }
}
