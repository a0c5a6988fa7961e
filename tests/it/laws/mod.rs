//! Laws of the house that the compiler does not hold: who may know whom, how long a file may be,
//! that what is generated is current, and that no file names the machine it was written on.

mod configuration_reference;
mod events_reference;
mod features;
mod file_length;
mod first_poll;
mod growth;
mod layers;
mod names;
mod plans;
mod secrets_never_logged;
mod source_text;
mod staleness;
mod write_budget;

use std::path::{Path, PathBuf};

/// The root of the checkout.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every `.rs` file below a folder of the checkout, with its path from the root. A folder that
/// does not exist (yet) has none.
pub fn rust_files(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(&root().join(folder), &mut found);
    found.sort();
    let relative = |path: &PathBuf| path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
    found.iter().map(|path| (relative(path), std::fs::read_to_string(path).unwrap())).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        // Packages of their own have build folders of their own.
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
