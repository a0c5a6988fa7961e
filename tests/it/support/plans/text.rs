//! Reads what a statement compares for equality, and of which tables: enough SQL for the store's own
//! statements, and no more.

use std::collections::BTreeMap;

/// One SELECT, UPDATE or DELETE of a statement.
#[derive(Debug, Default)]
pub struct Scope {
    /// Name or alias → table.
    pub tables: BTreeMap<String, String>,
    /// Columns that are compared for equality with a value, with their qualifier if they have one.
    pub equal: Vec<(Option<String>, String)>,
}

/// Where the reader is within a scope.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Tables,
    Conditions,
    Other,
}

/// The words and signs of a statement; names without their quotes, qualified names in one piece.
pub fn tokens(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut letters = text.chars().filter(|letter| !matches!(letter, '`' | '"')).peekable();
    while let Some(letter) = letters.next() {
        if letter.is_whitespace() {
            continue;
        }
        let mut token = letter.to_string();
        let mut take = |token: &mut String, fits: fn(char) -> bool| {
            while let Some(next) = letters.next_if(|next| fits(*next)) {
                token.push(next);
            }
        };
        if letter == '\'' {
            take(&mut token, |next| next != '\'');
            letters.next();
            token.push('\'');
        } else if is_of_name(letter) {
            take(&mut token, is_of_name);
        } else if matches!(letter, '<' | '>' | '!' | '=' | '|') {
            take(&mut token, |next| matches!(next, '<' | '>' | '=' | '|'));
        }
        found.push(token);
    }
    found
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '.' | '$')
}

fn is_word(token: &str) -> bool {
    token.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
}

fn is_value(token: &str) -> bool {
    token == "?" || token.starts_with(['$', '\'', '('])
}

const KEYWORDS: [&str; 20] = [
    "SELECT",
    "FROM",
    "JOIN",
    "LEFT",
    "INNER",
    "ON",
    "WHERE",
    "SET",
    "ORDER",
    "GROUP",
    "LIMIT",
    "RETURNING",
    "VALUES",
    "UNION",
    "AS",
    "AND",
    "OR",
    "IN",
    "NOT",
    "DISTINCT",
];

/// Every scope of a statement, outer ones first.
pub fn scopes(text: &str) -> Vec<Scope> {
    let tokens = tokens(text);
    let mut scopes = vec![Scope::default()];
    // What a closing parenthesis goes back to.
    let mut outer: Vec<(usize, Part)> = Vec::new();
    let (mut at, mut part) = (0, Part::Other);
    let token = |index: usize| tokens.get(index).map_or("", String::as_str);
    for index in 0..tokens.len() {
        let (this, next) = (token(index), token(index + 1));
        match this.to_ascii_uppercase().as_str() {
            "(" => outer.push((at, part)),
            ")" => (at, part) = outer.pop().unwrap_or((at, part)),
            "SELECT" => {
                scopes.push(Scope::default());
                (at, part) = (scopes.len() - 1, Part::Other);
            }
            "FROM" | "JOIN" | "UPDATE" | "INTO" if next != "SET" => part = Part::Tables,
            "WHERE" => part = Part::Conditions,
            "ON" => part = if next == "CONFLICT" { Part::Other } else { Part::Conditions },
            "SET" | "ORDER" | "GROUP" | "LIMIT" | "RETURNING" | "VALUES" | "UNION" | "FOR" => part = Part::Other,
            "," if part == Part::Tables => {}
            word if part == Part::Tables && is_word(word) && !KEYWORDS.contains(&word) => {
                let before = token(index.wrapping_sub(1)).to_ascii_uppercase();
                if matches!(before.as_str(), "FROM" | "JOIN" | "UPDATE" | "INTO" | ",") {
                    let alias = if next.eq_ignore_ascii_case("AS") { token(index + 2) } else { next };
                    let has_alias = is_word(alias) && !KEYWORDS.contains(&alias.to_ascii_uppercase().as_str());
                    let name = if has_alias { alias } else { this };
                    scopes[at].tables.insert(name.to_owned(), this.to_owned());
                    scopes[at].tables.insert(this.to_owned(), this.to_owned());
                }
            }
            word if part == Part::Conditions && is_word(word) => {
                let is_compared = next == "=" && is_value(token(index + 2))
                    || next.eq_ignore_ascii_case("IN") && token(index + 2) == "("
                    // A plus before the name says that no index is to be used for it.
                    || next == "=" && token(index + 2).contains('.') && !of_same_scope(&scopes[at], token(index + 2));
                if is_compared && token(index.wrapping_sub(1)) != "+" {
                    let (qualifier, column) = match this.rsplit_once('.') {
                        Some((qualifier, column)) => (Some(qualifier.to_owned()), column.to_owned()),
                        None => (None, this.to_owned()),
                    };
                    scopes[at].equal.push((qualifier, column));
                }
            }
            _ => {}
        }
    }
    scopes
}

/// Whether a qualified name is of a table of this scope: a join, where either side may be looked up by the other.
fn of_same_scope(scope: &Scope, name: &str) -> bool {
    name.split_once('.').is_some_and(|(qualifier, _)| scope.tables.contains_key(qualifier))
}
