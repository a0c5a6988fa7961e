//! `grantd apply`.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::CliError;
use crate::cli::body;
use crate::cli::declared::check::check;
use crate::cli::declared::document;
use crate::cli::declared::plan::{Act, Step, plan};
use crate::cli::output::{self, one_line};
use crate::cli::rest::Rest;

#[derive(Args)]
pub struct Apply {
    /// The file, YAML or JSON; - for standard input
    #[arg(long = "file", short = 'f', value_name = "FILE")]
    file: PathBuf,
    /// Do it without asking
    #[arg(long, short)]
    yes: bool,
    /// End what the file does not name, in the sections that it has
    #[arg(long)]
    prune: bool,
    /// Write the secrets that are made into this new file, not to standard output; with --json they go nowhere else
    #[arg(long, value_name = "FILE")]
    secrets_file: Option<PathBuf>,
}

/// What came of it.
struct Outcome<'a> {
    steps: &'a [Step],
    done: usize,
    failed: Option<CliError>,
}

impl Apply {
    pub async fn run(self, rest: &Rest) -> Result<(), CliError> {
        rest.refuse_idempotency_key()?;
        let text = body::read(&self.file)?;
        let document = document::read(&text).map_err(|slips| self.of_file(CliError::Refused(slips)))?;
        let steps = plan(rest, &document, self.prune).await.map_err(|error| self.of_file(error))?;
        if !rest.json {
            self.show(&steps)?;
        }
        let mut outcome = Outcome { steps: &steps, done: 0, failed: None };
        if let Err(error) = check(rest, &steps).await {
            outcome.failed = Some(self.of_file(error));
        }
        if steps.is_empty() || rest.dry_run || outcome.failed.is_some() {
            if rest.json {
                report(&outcome, rest.dry_run)?;
            }
            return outcome.failed.map_or(Ok(()), Err);
        }
        if rest.json && self.secrets_file.is_none() && steps.iter().any(Step::makes_a_secret) {
            let why = "nothing was done: secrets are made; with --json, say by --secrets-file FILE where they go";
            return Err(CliError::Usage(why.to_owned()));
        }
        self.ask(rest.json)?;
        let mut secrets_file = self.secrets_file.as_ref().map(new_file).transpose()?;
        for step in &steps {
            match take(step, rest, secrets_file.as_mut()).await {
                Ok(()) => outcome.done += 1,
                Err(error) => {
                    outcome.failed = Some(error);
                    break;
                }
            }
        }
        if rest.json {
            report(&outcome, false)?;
        }
        self.sum_up(outcome, rest.json)
    }

    /// With the name of the file before the lines that are told of it.
    fn of_file(&self, error: CliError) -> CliError {
        match error {
            CliError::Refused(slips) => {
                CliError::Refused(format!("{}:\n{slips}", one_line(&self.file.display().to_string())))
            }
            other => other,
        }
    }

    fn show(&self, steps: &[Step]) -> Result<(), CliError> {
        let mut out = std::io::stdout().lock();
        for line in steps.iter().flat_map(Step::lines) {
            writeln!(out, "{line}")?;
        }
        if steps.is_empty() {
            writeln!(out, "There is nothing to do.")?;
        } else {
            let count = |act: Act| steps.iter().filter(|step| step.act == act).count();
            let (made, changed, ended) = (count(Act::Create), count(Act::Change), count(Act::Delete));
            writeln!(out, "\n{made} to create, {changed} to change, {ended} to delete.")?;
        }
        Ok(())
    }

    fn ask(&self, as_json: bool) -> Result<(), CliError> {
        if self.yes {
            return Ok(());
        }
        if as_json || self.file.as_os_str() == "-" || !std::io::stdin().is_terminal() {
            return Err(CliError::Usage(
                "nothing was done: say --yes to do it, or --dry-run to see the plan".to_owned(),
            ));
        }
        write!(std::io::stderr(), "Do it? [y/N] ")?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(CliError::Refused("nothing was done".to_owned())),
        }
    }

    fn sum_up(&self, outcome: Outcome<'_>, as_json: bool) -> Result<(), CliError> {
        let Outcome { steps, done, failed, .. } = outcome;
        let Some(error) = failed else {
            if !as_json {
                writeln!(std::io::stdout(), "All {done} done.")?;
            }
            return Ok(());
        };
        let at = steps.get(done).map(Step::title).unwrap_or_default();
        writeln!(
            std::io::stderr(),
            "grantd: {done} of {} were done; it ended at {at}. What was done stays; apply again when it is mended.",
            steps.len()
        )?;
        Err(error)
    }
}

/// One step; a secret that it makes is out, or on the disk, before the next one begins.
async fn take(step: &Step, rest: &Rest, file: Option<&mut File>) -> Result<(), CliError> {
    let answer = match rest.ask(step.call.clone()).await {
        Ok(answer) => answer.json(),
        Err(CliError::Refused(sentences)) => return Err(CliError::Refused(step.told(&sentences))),
        // The plan of the next run is another one, so no key of this call would be sent by it.
        Err(CliError::MaybeDone { why, .. }) => {
            let lost = if step.makes_a_secret() { "; then its secret is lost: make another one" } else { "" };
            return Err(CliError::Unreachable(format!("{why}; {} may have been done{lost}", step.title())));
        }
        Err(error) => return Err(error),
    };
    let secret = ["client_secret", "secret"].iter().find_map(|name| answer.get(*name)).filter(|text| text.is_string());
    let mut out = std::io::stdout().lock();
    let mut told = Ok(());
    if !rest.json {
        told = writeln!(out, "{}: {}", step.act.done(), step.title());
    }
    let Some(secret) = secret else { return Ok(told?) };
    let made = json!({ "kind": step.kind.noun, "provider": step.provider, "name": step.name, "secret": secret });
    let kept = match file {
        Some(file) => writeln!(file, "{made}").and_then(|()| file.sync_data()),
        None => told.and_then(|()| writeln!(out, "    its secret, shown this once: {}", output::plain(secret))),
    };
    kept.map_err(|error| CliError::Unseen(format!("{error}; the secret of {} is lost", step.title())))
}

/// `{plan, dry_run, done, error}`.
fn report(outcome: &Outcome<'_>, dry_run: bool) -> std::io::Result<()> {
    let plan: Vec<Value> = outcome.steps.iter().map(Step::to_value).collect();
    let error = outcome.failed.as_ref().map(ToString::to_string);
    let whole = json!({
        "plan": plan, "dry_run": dry_run && !plan.is_empty(), "done": outcome.done, "error": error,
    });
    output::show(&whole, true)
}

/// A file that only its owner reads, and that was not there.
fn new_file(path: &PathBuf) -> Result<File, CliError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map_err(|error| CliError::Refused(format!("cannot make {}: {error}", path.display())))
}

impl Act {
    fn done(self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Change => "changed",
            Self::Delete => "deleted",
        }
    }
}
