//! `grantd completions` and `grantd man`: what the shell and the reader need, made from the grammar.

use std::io::Write;
use std::path::Path;

use clap::Command;
use clap_complete::Shell;

use crate::cli::CliError;

pub fn completions(mut grammar: Command, shell: Shell) -> Result<(), CliError> {
    // Into memory first: the generator gives up the process where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut grammar, "grantd", &mut script);
    Ok(std::io::stdout().lock().write_all(&script)?)
}

/// The page of the whole to standard output, or one page a command into a folder.
pub fn man(grammar: Command, dir: Option<&Path>) -> Result<(), CliError> {
    let failed =
        |path: &Path, error: std::io::Error| CliError::Refused(format!("cannot write {}: {error}", path.display()));
    match dir {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(grammar).render(&mut page)?;
            Ok(std::io::stdout().lock().write_all(&page)?)
        }
        Some(dir) => {
            std::fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
            clap_mangen::generate_to(grammar, dir).map_err(|error| failed(dir, error))
        }
    }
}
