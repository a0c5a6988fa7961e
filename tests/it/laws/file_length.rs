//! No source file is longer than a reader keeps in mind.

use crate::laws::rust_files;

const MOST: usize = 500;

fn too_long(files: &[(String, String)]) -> Vec<String> {
    let long = files.iter().filter(|(_, text)| text.lines().count() > MOST);
    long.map(|(path, text)| format!("{path}: {} lines", text.lines().count())).collect()
}

#[test]
fn no_rust_file_is_longer_than_500_lines() {
    let files: Vec<_> = ["src", "tests", "bench", "fuzz", "examples"].into_iter().flat_map(rust_files).collect();
    assert!(files.len() > 20, "the walk found only {} files", files.len());
    let long = too_long(&files);
    assert!(long.is_empty(), "split what grew beyond {MOST} lines: {long:#?}");
}

#[test]
fn a_file_of_501_lines_is_found() {
    let file = |lines: usize| vec![("src/x.rs".to_owned(), "//\n".repeat(lines))];
    assert!(too_long(&file(500)).is_empty());
    assert_eq!(too_long(&file(501)), ["src/x.rs: 501 lines"]);
}
