//! Running one step of the pipeline: its name, its time, and what to type to see it fail again.

use std::process::Command;
use std::time::Instant;

use crate::Result;
use crate::repo::Repo;

/// Announces the step, runs it, and says how long it took or that it failed.
pub(crate) fn step(name: &str, body: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("== {name}");
    let start = Instant::now();
    let outcome = body();
    let seconds = start.elapsed().as_secs_f64();
    match outcome {
        Ok(()) => println!("== {name}: ok, {seconds:.1} s"),
        Err(error) => return Err(format!("{name} failed after {seconds:.1} s: {error}").into()),
    }
    Ok(())
}

/// The cargo that started us, in the root folder.
pub(crate) fn cargo(repo: &Repo) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(repo.root());
    command
}

/// Runs to the end; failing is an error that repeats the command.
pub(crate) fn finish(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| format!("cannot start {}: {error}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", shown(command)).into()) }
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_names_itself() {
        let error = step("lints", || Err("too bad".into())).expect_err("the step fails").to_string();
        assert!(error.starts_with("lints failed after ") && error.ends_with(": too bad"), "{error}");
    }

    #[test]
    fn shows_a_command_as_typed() {
        assert_eq!(shown(Command::new("/usr/bin/cargo").args(["doc", "--no-deps"])), "cargo doc --no-deps");
    }
}
