//! No file of the project names the machine or the folder it was written in.

use std::process::Command;

use crate::laws::root;

/// Put together here, so that this file does not find itself.
fn needles() -> Vec<String> {
    let slash = '/';
    [&["tmp", "wt"][..], &["work", ""], &["root", ""]]
        .iter()
        .map(|parts| format!("{slash}{}", parts.join("/")))
        .collect()
}

/// `path: needle` for each needle that begins an absolute path in the text: `https://x/work/` and
/// `framework/` are none.
fn found_in(path: &str, text: &str) -> Vec<String> {
    let begins_path = |at: usize| {
        let before = text[..at].chars().next_back();
        before.is_none_or(|character| !character.is_alphanumeric() && !matches!(character, '_' | '-' | '.' | '}'))
    };
    let stands = |needle: &String| text.match_indices(needle.as_str()).any(|(at, _)| begins_path(at));
    needles().iter().filter(|needle| stands(needle)).map(|needle| format!("{path}: {needle}")).collect()
}

#[test]
fn no_tracked_file_names_a_folder_of_this_machine() {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().unwrap();
    assert!(listed.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let paths: Vec<&str> = listed.split('\0').filter(|path| !path.is_empty()).collect();
    assert!(paths.contains(&"Cargo.toml"), "the list of tracked files is not ours");
    let found: Vec<String> = paths
        .into_iter()
        .filter_map(|path| Some((path, std::fs::read(root().join(path)).ok()?)))
        .flat_map(|(path, bytes)| found_in(path, &String::from_utf8_lossy(&bytes)))
        .collect();
    assert!(found.is_empty(), "absolute paths of one machine: {found:#?}");
}

#[test]
fn each_needle_is_found_and_longer_words_are_not() {
    for needle in needles() {
        assert_eq!(found_in("a", &format!("see {needle}x")).len(), 1, "{needle}");
        assert_eq!(found_in("a", &needle).len(), 1, "{needle}");
        assert!(found_in("a", &format!("https://a.example{needle}x")).is_empty(), "{needle}");
    }
}
