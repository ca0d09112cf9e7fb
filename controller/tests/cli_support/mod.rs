//! A real controller and the real command line, on loopback, in a directory of their own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Each test binary uses its own part of this.
#![allow(dead_code)]

pub(crate) mod agent;

use std::{
    fs,
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// How long anything here may take before the test says that it does not happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A small cloud: one tenant, two workloads on two hosts.
pub(crate) const SHOP: &str = r#"kind: Tenant
name: acme
---
kind: Domain
name: acme/prod
---
kind: Network
domain: acme/prod
name: front
subnets:
  - {cidr: 10.1.0.0/24, gateway: 10.1.0.1}
---
kind: Workload
domain: acme/prod
name: web-1
labels: {role: web, version: "1.0"}
interfaces:
  - name: eth0
    network: front
    mac: "02:00:00:00:01:01"
    addresses: [10.1.0.11]
    host: h1
---
kind: Workload
domain: acme/prod
name: app-1
labels: {role: app}
interfaces:
  - name: eth0
    network: front
    mac: "02:00:00:00:01:02"
    addresses: [10.1.0.12]
    host: h2
    device: tap-app
---
kind: Segment
domain: acme/prod
name: web
match: {role: web}
---
kind: Segment
domain: acme/prod
name: app
match: {role: app}
---
kind: Policy
domain: acme/prod
name: shop
rules:
  - {name: to-app, from: [segment/web], to: [segment/app], action: allow, traffic: [tcp/8080-8090]}
"#;

/// A running controller with an empty store.
pub(crate) struct Controller {
    process: Child,
    port: u16,
    dir: tempfile::TempDir,
}

/// A directory in which commands run that need no controller.
pub(crate) struct Offline {
    dir: tempfile::TempDir,
}

/// What a run of `ringfence` left.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Controller {
    /// Starts one on a port that the system chooses, and reads from its log which.
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_ringfence-controller"))
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(dir.path().join("data"))
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1")
            .stdout(fs::File::create(dir.path().join("log")).unwrap())
            .stderr(fs::File::create(dir.path().join("errors")).unwrap())
            .spawn()
            .unwrap();
        let mut controller = Self { process, port: 0, dir };
        let deadline = Instant::now() + PATIENCE;
        while controller.port == 0 {
            let ended = controller.process.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "the controller does not serve: {}",
                controller.log()
            );
            thread::sleep(Duration::from_millis(20));
            controller.port = controller.port_served().unwrap_or(0);
        }
        controller
    }

    fn port_served(&self) -> Option<u16> {
        let log = self.log();
        let (_, after) = log.split_once("serving address=127.0.0.1:")?;
        // Without what follows it the number may be half written.
        after.split_once(' ')?.0.parse().ok()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn log(&self) -> String {
        ["log", "errors"].map(|name| fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()).concat()
    }

    /// Writes a file into the directory in which commands run.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        write(self.dir.path(), name, text)
    }

    pub(crate) fn run(&self, line: &str) -> Run {
        self.run_with_stdin(line, "")
    }

    pub(crate) fn run_with_stdin(&self, line: &str, stdin: &str) -> Run {
        let mut command = ringfence(line);
        command.env("RINGFENCE_ADDRESS", self.url()).current_dir(self.dir.path());
        let mut process = command.spawn().unwrap();
        process.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        Run::of(process.wait_with_output().unwrap())
    }

    /// Runs a command that must succeed and answer in JSON.
    pub(crate) fn json(&self, line: &str) -> Value {
        let run = self.run(line);
        assert_eq!(run.code, 0, "{line}: {}", run.stderr);
        run.json()
    }

    /// The revision at which the store stands.
    pub(crate) fn revision(&self) -> u64 {
        self.json("get tenants -o json")["revision"].as_u64().unwrap()
    }

    /// Runs a command until its answer is as wanted.
    pub(crate) fn until(&self, line: &str, wanted: impl Fn(&Run) -> bool) -> Run {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let run = self.run(line);
            if wanted(&run) {
                return run;
            }
            assert!(Instant::now() < deadline, "{line}: {}\n{}\n{}", run.stdout, run.stderr, self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Offline {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        write(self.dir.path(), name, text)
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = ringfence(line);
        command.env("RINGFENCE_ADDRESS", "http://127.0.0.1:1").current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Run {
        Run::of(self.command(line).output().unwrap())
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        let Output { status, stdout, stderr } = output;
        Self {
            code: status.code().expect("ended by itself"),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }
}

/// The command line with its arguments, speaking to nobody in particular.
pub(crate) fn ringfence(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.args(line.split_whitespace()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
