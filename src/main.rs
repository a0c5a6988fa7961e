//! Parses the command, runs it, prints the error chain once.

use std::process::ExitCode;

fn main() -> ExitCode {
    match grantd::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            grantd::cli::report(&error);
            ExitCode::from(error.code())
        }
    }
}
