//! Parses the command, runs it, prints the error chain once.

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match grantd::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where standard error cannot be written to, the exit status still tells.
            let mut out = std::io::stderr().lock();
            let _ = writeln!(out, "grantd: {error}");
            let mut said = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                let text = inner.to_string();
                // A message that holds its cause has told it.
                if !said.ends_with(&text) {
                    let _ = writeln!(out, "  because: {text}");
                    said = text;
                }
                cause = inner.source();
            }
            ExitCode::from(error.code())
        }
    }
}
