//! The daemon as the service manager sees it: exit codes, signals and what it says.
#![allow(clippy::unwrap_used, clippy::panic)]

mod api_support;

use std::{path::Path, process::Stdio};

use api_support::{objects, soon};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use ringfence_proto::v1::{self, ringfence_client::RingfenceClient};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
};

fn daemon(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence-controller"));
    command.args(arguments).env_clear().stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().unwrap()
}

fn on(directory: &Path) -> Child {
    daemon(&["--listen", "127.0.0.1:0", "--data-dir", directory.to_str().unwrap()])
}

/// Exit code and all it said.
async fn end(mut child: Child) -> (Option<i32>, String) {
    let mut said = String::new();
    soon("the daemon closes stderr", child.stderr.take().unwrap().read_to_string(&mut said)).await.unwrap();
    (soon("the daemon exits", child.wait()).await.unwrap().code(), said)
}

/// Waits for the line that names the address, as an operator finds it in the log.
async fn address(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    loop {
        let line = soon("the daemon serves", lines.next_line()).await.unwrap().unwrap();
        if let Some((_, rest)) = line.split_once("address=") {
            return format!("http://{}", rest.split_whitespace().next().unwrap());
        }
    }
}

#[tokio::test]
async fn sigterm_and_sigint_stop_it_with_success_and_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    for (signal, revision) in [(Signal::SIGTERM, 1), (Signal::SIGINT, 1)] {
        let mut child = on(directory.path());
        let mut client = RingfenceClient::connect(address(&mut child).await).await.unwrap();
        let request = v1::ApplyRequest { objects: objects("{kind: Tenant, name: acme}"), ..Default::default() };
        assert_eq!(client.apply(request).await.unwrap().into_inner().revision, revision);
        let mut watch = client.watch(v1::WatchRequest::default()).await.unwrap().into_inner();
        watch.message().await.unwrap();
        kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), signal).unwrap();
        assert_eq!(soon("the daemon exits", child.wait()).await.unwrap().code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn a_second_daemon_on_the_same_data_is_refused_clearly() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = on(directory.path());
    address(&mut first).await;
    let (code, said) = end(on(directory.path())).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another process has this store open"), "{said}");
}

#[tokio::test]
async fn every_wrong_setting_is_told_at_once_with_the_exit_code_for_it() {
    let (code, said) = end(daemon(&["--listen", "everywhere", "--up-deadline", "soon"])).await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("listen: \"everywhere\"") && said.contains("up-deadline: \"soon\""), "{said}");
}

#[tokio::test]
async fn an_address_that_cannot_be_listened_on_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    let (code, said) = end(daemon(&["--listen", "192.0.2.77:1", "--data-dir", data])).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot listen on 192.0.2.77:1"), "{said}");
    assert_eq!(said.matches("Cannot assign requested address").count(), 1, "the cause is told once: {said}");
}

/// Bounds how long a file of the daemon may be: writes beyond fail as on a full disk.
async fn bound_files(child: &Child, octets: &str) {
    let pid = child.id().unwrap().to_string();
    // The soft limit, which can be raised again.
    let status = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={octets}:")]).status().await.unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn a_full_disk_fails_changes_until_there_is_room_and_no_longer() {
    let directory = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    // The signal that comes with the limit would end it; a full disk has none.
    shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_ringfence-controller")]);
    shell.args(["--listen", "127.0.0.1:0", "--data-dir", directory.path().to_str().unwrap()]);
    let mut child = shell.env_remove("RUST_LOG").stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut client = RingfenceClient::connect(address(&mut child).await).await.unwrap();
    let tenant = |name: &str| v1::ApplyRequest {
        objects: objects(&format!("{{kind: Tenant, name: {name}}}")),
        ..v1::ApplyRequest::default()
    };
    client.apply(tenant("first")).await.unwrap();
    bound_files(&child, "4096").await;
    for _ in 0..2 {
        let status = client.apply(tenant("second")).await.unwrap_err();
        assert!(
            status.message().starts_with("the store failed to commit") || status.message().contains("cannot open"),
            "{status}"
        );
    }
    bound_files(&child, "unlimited").await;
    let applied = client.apply(tenant("second")).await.unwrap().into_inner();
    assert_eq!(applied.revision, 2);
    let tenants = client.get(v1::GetRequest::default()).await.unwrap().into_inner().objects;
    assert_eq!(tenants.iter().map(|tenant| tenant.name.as_str()).collect::<Vec<_>>(), ["first", "second"]);
}
