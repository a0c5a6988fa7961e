//! Holds the commands in the documentation against the grammar: what a reader pastes is at least understood.

use std::path::Path;

use clap::Parser;
use clap::error::ErrorKind;

use crate::cli::commands::Cli;

/// The lines of a page's shell blocks, those that go on joined.
fn shell_lines(page: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let (mut is_shell, mut goes_on) = (false, false);
    for line in page.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            is_shell = !is_shell && matches!(language, "sh" | "bash" | "console");
            continue;
        }
        if !is_shell {
            continue;
        }
        let text = line.strip_suffix('\\');
        match lines.last_mut() {
            Some(last) if goes_on => last.push_str(text.unwrap_or(line)),
            _ => lines.push(text.unwrap_or(line).to_owned()),
        }
        goes_on = text.is_some();
    }
    lines
}

/// As a shell takes a line apart, as far as the documentation goes: quotes, comments, `&&`, `|` and `>`.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut words: Vec<String> = Vec::new();
    let (mut word, mut quote) = (None::<String>, None);
    for one in line.chars() {
        match (one, quote) {
            (one, Some(mark)) if one == mark => quote = None,
            ('"' | '\'', None) => {
                quote = Some(one);
                word.get_or_insert_default();
            }
            (' ', None) => words.extend(word.take()),
            ('#', None) if word.is_none() => break,
            (one, _) => word.get_or_insert_default().push(one),
        }
    }
    words.extend(word);
    let mut found = vec![Vec::new()];
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "&&" | "|" => found.push(Vec::new()),
            ">" => drop(words.next()),
            "$" => {}
            _ => found.last_mut().unwrap().push(word),
        }
    }
    found.retain(|command| command.first().is_some_and(|program| program == "grantd"));
    found
}

fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let pages = pages.chain([root.join("README.md")]);
    pages.map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap())).collect()
}

/// What a page names in its sentences: `` `grantd keys rekey` ``, but for those that are only sketched.
fn named(page: &str) -> impl Iterator<Item = &str> {
    let spans = page.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    spans.filter(|span| span.starts_with("grantd ") && !span.contains(['…', '<', '{']))
}

#[test]
fn every_command_in_the_documentation_is_one() {
    let mut seen = 0;
    for (page, text) in pages() {
        for command in shell_lines(&text).iter().flat_map(|line| commands(line)) {
            seen += 1;
            if let Err(error) = Cli::try_parse_from(&command) {
                panic!("{page}: {}\n{error}", command.join(" "));
            }
        }
        for command in named(&text).flat_map(commands) {
            seen += 1;
            match Cli::try_parse_from(&command) {
                // A sentence may name it without what it needs.
                Err(error) if error.kind() != ErrorKind::MissingRequiredArgument => {
                    panic!("{page}: {}\n{error}", command.join(" "))
                }
                _ => {}
            }
        }
    }
    assert!(seen > 50, "only {seen} were found");
}

#[test]
fn no_command_in_a_block_is_passed_over() {
    let pages = pages();
    for name in ["README.md", "docs/command-line.md", "docs/gitops.md", "docs/keys.md"] {
        assert!(pages.iter().any(|(page, text)| page.ends_with(name) && !shell_lines(text).is_empty()), "{name}");
    }
    for (page, text) in pages {
        let begins = |line: &&str| line.trim_start().trim_start_matches("$ ").starts_with("grantd ");
        let blocks = text.split("\n```").skip(1).step_by(2);
        let written = blocks.flat_map(str::lines).filter(begins).count();
        let found = shell_lines(&text).iter().map(|line| commands(line).len()).sum::<usize>();
        assert!(found >= written, "{page}: {found} of {written} commands are looked at");
    }
}

#[test]
fn a_line_is_taken_apart_as_a_shell_does() {
    assert_eq!(
        commands("grantd a \"b c\" --d='e # f' > out && grantd g <id> | jq '.x'   # grantd h"),
        [vec!["grantd", "a", "b c", "--d=e # f"], vec!["grantd", "g", "<id>"]]
    );
    assert_eq!(shell_lines("```sh\ngrantd a \\\n  b\n```\ngrantd c\n```json\ngrantd d\n```\n"), ["grantd a   b"]);
}
