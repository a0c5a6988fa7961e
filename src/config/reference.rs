//! `docs/configuration.md`, made from the same list as the structs. A law test compares it.

use crate::config::{Key, Settings};

const OPENING: &str = "\
# Configuration

<!-- Made from the structs in src/config. To write it anew after a change:
     cargo test --test it write_the_configuration_reference -- --ignored -->

Defaults < `grantd.toml` in the working directory (or `--config FILE`) < environment < flags. A key of a section is
written `section.key` here, stands below `[section]` in the file, and is `GRANTD_SECTION__KEY` in the environment.
Unknown keys and unknown `GRANTD_…` variables stop the start, except those that Kubernetes sets for a service named
grantd and those that tell the command line of a server (`GRANTD_SERVER`, `GRANTD_KEY`, `GRANTD_KEY_FILE`). Every secret can
also be given as a file: add `_file` to the key or `_FILE` to the variable and name a path; a line end after the secret is
ignored, and giving both is refused. `grantd config` prints what is in effect and where it came from, secrets as `(set)`.
";

/// The text of the reference.
pub fn reference() -> String {
    let mut out = OPENING.to_owned();
    let mut section = None;
    for key in Settings::describe() {
        let own = key.name.rsplit_once('.').map_or("", |(section, _)| section).to_owned();
        if section.as_ref() != Some(&own) {
            let title = if own.is_empty() { "Top level".to_owned() } else { format!("`[{own}]`") };
            out.push_str(&format!("\n## {title}\n\n| key | variable | value | default | meaning |\n"));
            out.push_str("| --- | --- | --- | --- | --- |\n");
            section = Some(own);
        }
        out.push_str(&row(&key));
    }
    out
}

fn row(key: &Key) -> String {
    let default = if key.default == "–" { key.default.clone() } else { format!("`{}`", key.default) };
    let kind = if key.secret { "secret, or `…_file`" } else { key.kind };
    let (name, variable, doc) = (&key.name, key.variable(), key.doc.replace('|', "\\|"));
    format!("| `{name}` | `{variable}` | {kind} | {default} | {doc} |\n")
}
