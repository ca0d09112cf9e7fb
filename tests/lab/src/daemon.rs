//! The real daemons as child processes in a namespace.

use std::{
    env,
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{netns::Namespace, wait};

/// Names a directory to take the programs from instead of the one this program was built in.
pub const BIN_DIR: &str = "RINGFENCE_BIN_DIR";

/// A daemon in a namespace: running, or to be started again. Killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    namespace: Namespace,
    program: PathBuf,
    arguments: Vec<OsString>,
    log: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// Starts the program at this path in the namespace; what it prints is appended to `log`.
    pub fn start(namespace: &Namespace, program: PathBuf, arguments: Vec<OsString>, log: PathBuf) -> Result<Self> {
        let mut daemon = Self { namespace: namespace.clone(), program, arguments, log, child: None };
        daemon.start_again(&[])?;
        Ok(daemon)
    }

    /// Starts it again after its end, with further arguments for this run.
    pub fn start_again(&mut self, further: &[&str]) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let child = self
            .namespace
            .command(&self.program)?
            .args(&self.arguments)
            .args(further)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// From its next start on it is the program at this path, as after an upgrade.
    pub fn replace(&mut self, program: PathBuf) {
        self.program = program;
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Ends it with SIGKILL: it gets no chance to say good-bye.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        child.kill().with_context(|| format!("cannot kill {}", self.program.display()))?;
        child.wait().with_context(|| format!("cannot await {}", self.program.display()))?;
        Ok(())
    }

    /// Asks it to end with SIGTERM and waits for it. An error if it does not, or not with success.
    pub fn stop(&mut self) -> Result<()> {
        let Some(child) = self.child.as_mut() else {
            return Ok(());
        };
        kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)
            .with_context(|| format!("cannot stop {}", self.program.display()))?;
        let what = format!("{} has ended", self.program.display());
        wait::until(&what, Duration::from_secs(10), || Ok(child.try_wait()?.is_some()))?;
        let status = child.wait()?;
        self.child = None;
        if !status.success() {
            bail!("{} ended with {status}; see {}", self.program.display(), self.log.display());
        }
        Ok(())
    }

    /// An error, with the end of its log, if it has ended by itself.
    pub fn check(&mut self) -> Result<()> {
        let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() else {
            return Ok(());
        };
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        bail!("{} ended by itself with {status}:\n{tail}", self.program.display());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("{error:#}");
        }
    }
}

/// The program of this name in a folder.
pub fn program_in(directory: &Path, name: &str) -> Result<PathBuf> {
    let path = directory.join(name);
    if path.exists() { Ok(path) } else { bail!("{} does not exist", path.display()) }
}

/// The program of this name: in [`BIN_DIR`] if that is set, else where cargo put this one.
pub fn find_program(name: &str) -> Result<PathBuf> {
    if let Some(directory) = env::var_os(BIN_DIR) {
        return program_in(Path::new(&directory), name).context(format!("{BIN_DIR} names the folder"));
    }
    // Tests and examples are one directory below the programs.
    let own = env::current_exe().context("cannot tell where this program is")?;
    let beside = own.ancestors().skip(1).take(2).map(|directory| directory.join(name));
    beside.clone().find(|path| path.exists()).with_context(|| {
        let looked: Vec<String> = beside.map(|path| path.display().to_string()).collect();
        format!("no {name} at {}: build it with `cargo build --workspace`", looked.join(" or "))
    })
}
