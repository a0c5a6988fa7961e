//! stub
use crate::cli::CliError;
use crate::cli::rest::Rest;
use clap::Args;
#[derive(Args)]
pub struct Export {}
#[derive(Args)]
pub struct Apply {}
impl Export {
    pub async fn run(self, _rest: &Rest) -> Result<(), CliError> {
        Ok(())
    }
}
impl Apply {
    pub async fn run(self, _rest: &Rest) -> Result<(), CliError> {
        Ok(())
    }
}
