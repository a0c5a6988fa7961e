//! Rust source as words: comments, strings and character literals gone, lifetimes skipped. Enough
//! to tell which paths a file names; it does not parse.

/// The identifiers and punctuation of a source text. `::` is one word, every other mark its own.
pub fn words(source: &str) -> Vec<String> {
    let text: Vec<char> = source.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&here) = text.get(at) {
        let next = text.get(at + 1).copied().unwrap_or(' ');
        match here {
            '/' if next == '/' => at = line_end(&text, at),
            '/' if next == '*' => at = comment_end(&text, at),
            '"' => at = string_end(&text, at + 1),
            '\'' => at = quote_end(&text, at),
            ':' if next == ':' => {
                out.push("::".to_owned());
                at += 2;
            }
            _ if is_word(here) => {
                let end = text[at..].iter().position(|character| !is_word(*character)).map_or(text.len(), |n| at + n);
                let word: String = text[at..end].iter().collect();
                match (word.as_str(), literal_after_prefix(&text, end)) {
                    ("r" | "br" | "cr", Some(hashes)) => at = raw_end(&text, end + hashes + 1, hashes),
                    // `r#type` is the identifier `type`.
                    ("r", None) if text.get(end) == Some(&'#') => at = end + 1,
                    ("b" | "c", Some(0)) => at = string_end(&text, end + 1),
                    _ => {
                        out.push(word);
                        at = end;
                    }
                }
            }
            _ => {
                if !here.is_whitespace() {
                    out.push(here.to_string());
                }
                at += 1;
            }
        }
    }
    out
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn line_end(text: &[char], at: usize) -> usize {
    text[at..].iter().position(|character| *character == '\n').map_or(text.len(), |n| at + n)
}

/// Block comments nest.
fn comment_end(text: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

/// `at` is behind the opening quote.
fn string_end(text: &[char], mut at: usize) -> usize {
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// How many `#` stand before a quote, if a quote follows them.
fn literal_after_prefix(text: &[char], at: usize) -> Option<usize> {
    let hashes = text[at..].iter().take_while(|character| **character == '#').count();
    (text.get(at + hashes) == Some(&'"')).then_some(hashes)
}

/// `at` is behind the opening quote of a raw string.
fn raw_end(text: &[char], mut at: usize, hashes: usize) -> usize {
    while at < text.len() {
        let closes =
            text[at] == '"' && text[at + 1..].iter().take(hashes).filter(|mark| **mark == '#').count() == hashes;
        at += 1;
        if closes {
            return at + hashes;
        }
    }
    at
}

/// A character literal, or the mark of a lifetime.
fn quote_end(text: &[char], at: usize) -> usize {
    match (text.get(at + 1), text.get(at + 2)) {
        (Some('\\'), _) => {
            let from = at + 3;
            text.get(from..)
                .and_then(|rest| rest.iter().position(|mark| *mark == '\''))
                .map_or(text.len(), |n| from + n + 1)
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1,
    }
}

#[test]
fn comments_strings_and_characters_are_no_words() {
    let source = r####"
        // crate::a
        /* crate::b /* crate::c */ crate::d */
        let s = "crate::e \" crate::f"; let r = r##"crate::g " "# crate::h"##; let b = b"crate::i"; let br = br"\";
        let q = '"'; let n = '\''; let u = '\u{22}'; fn f<'a>(x: &'a str) {} crate :: real
    "####;
    let words = words(source).join(" ");
    assert_eq!(words.matches("crate").count(), 1, "{words}");
    assert!(words.ends_with("crate :: real"), "{words}");
}
