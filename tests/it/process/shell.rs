//! Completions as bash itself takes them, and manual pages as groff reads them.

use std::process::Command;

use crate::support::databases::Kind;
use crate::support::process::Home;

/// What bash offers for a line.
fn offered(home: &Home, line: &[&str]) -> String {
    let script = home.folder().join("completion");
    let made = home.run(&["completions", "bash"]);
    assert!(made.status.success(), "{made:?}");
    std::fs::write(&script, made.stdout).unwrap();
    let ask = r#"
        source "$1"; shift
        [ "$(complete -p grantd | grep -c ' -F _grantd ')" = 1 ] || exit 9
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        _grantd grantd "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let output = Command::new("bash").args(["--norc", "-c", ask, "bash"]).arg(&script).args(line).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bash_completes_commands_and_flags() {
    let home = Home::bare(Kind::Sqlite);
    assert_eq!(offered(&home, &["grantd", "prov"]).trim(), "provider");
    let below = offered(&home, &["grantd", "client", "secret", ""]);
    assert!(
        ["create", "list", "rotate", "revoke"].iter().all(|word| below.lines().any(|line| line == *word)),
        "{below}"
    );
    assert!(offered(&home, &["grantd", "client", "create", "--redirect"]).contains("--redirect-uri"));
    assert!(offered(&home, &["grantd", "api", "--ser"]).contains("--server"));
    for shell in ["zsh", "fish"] {
        let made = home.run(&["completions", shell]);
        assert!(made.status.success() && made.stdout.contains("api-key"), "{made:?}");
    }
    // Nothing of this needs a configuration, nor makes a database.
    assert!(!home.folder().join("data").exists());
}

#[test]
fn there_is_a_manual_page_for_every_command_and_it_reads_well() {
    let home = Home::bare(Kind::Sqlite);
    let whole = home.run(&["man"]);
    assert!(whole.stdout.contains(".TH grantd 1"), "{whole:?}");
    assert!(home.run(&["man", "--dir", "pages"]).status.success());
    let folder = home.folder().join("pages");
    let pages: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    for name in
        ["grantd", "grantd-serve", "grantd-client-secret-rotate", "grantd-export", "grantd-apply", "grantd-explain"]
    {
        assert!(folder.join(format!("{name}.1")).exists(), "no page {name} in {pages:?}");
    }
    let output = Command::new("groff").args(["-man", "-Tutf8", "-ww"]).args(&pages).output();
    let output = output.expect("groff does not start: run ./scripts/system-packages first");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    let page = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap().replace("\\-", "-");
    assert!(page("grantd-apply.1").contains("--secrets-file"), "flags are missing");
    assert!(
        page("grantd.1").contains("GRANTD_SERVER") && page("grantd.1").contains("Exit status"),
        "what is common is missing"
    );
}
