//! The command line, the environment and the file → the settings of the daemon.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::PathBuf, time::Duration};

use clap::Parser;
use ringfence_policy::settings::{Period, SettingErrors, Settings};

/// The Ringfence controller: keeps the objects, compiles them, and hands them to the agents.
///
/// A flag wins over the environment, that over the configuration file.
#[derive(Clone, Debug, Default, Parser)]
#[command(version)]
pub struct Args {
    /// Configuration file: a YAML mapping with the names of the flags below
    #[arg(long, env = "RINGFENCE_CONTROLLER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the API and the agent stream are served [default: 127.0.0.1:7420]
    #[arg(long, env = "RINGFENCE_CONTROLLER_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Where committed state is kept [default: /var/lib/ringfence/controller]
    #[arg(long, env = "RINGFENCE_CONTROLLER_DATA_DIR", value_name = "DIRECTORY")]
    data_dir: Option<String>,
    /// How long an interface waits to be up for the other hosts of its domain to know it [default: 5s]
    #[arg(long, env = "RINGFENCE_CONTROLLER_UP_DEADLINE", value_name = "PERIOD")]
    up_deadline: Option<String>,
}

/// What the daemon runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where the services listen.
    pub listen: SocketAddr,
    /// The data directory.
    pub data_dir: PathBuf,
    /// How long an interface waits for the other hosts of its domain.
    pub up_deadline: Duration,
}

/// Why there are no settings to run with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}; check --config", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Settings that cannot be.
    #[error(transparent)]
    Settings(#[from] SettingErrors),
}

// === impl Args ===

impl Args {
    /// The settings, or everything that is wrong with them.
    ///
    /// # Errors
    /// When the file cannot be read, a setting is unknown or a value cannot be.
    pub fn config(self) -> Result<Config, ConfigError> {
        let Self { config, listen, data_dir, up_deadline } = self;
        let given = [("listen", listen), ("data-dir", data_dir), ("up-deadline", up_deadline)];
        let given: BTreeMap<_, _> = given.map(|(key, value)| (key, value.into_iter().collect())).into();
        let mut settings = Settings::new("RINGFENCE_CONTROLLER", given);
        if let Some(path) = config {
            let text = fs::read_to_string(&path).map_err(|source| ConfigError::File { path: path.clone(), source })?;
            settings = settings.with_file(&path.display().to_string(), &text);
        }
        let config = Config {
            listen: settings.or("listen", SocketAddr::from(([127, 0, 0, 1], 7420))),
            data_dir: settings.or("data-dir", PathBuf::from("/var/lib/ringfence/controller")),
            up_deadline: settings.or("up-deadline", Period(Duration::from_secs(5))).0,
        };
        settings.finish()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_given_is_the_documented_default() {
        let config = Args::default().config().unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:7420");
        assert_eq!(config.data_dir, PathBuf::from("/var/lib/ringfence/controller"));
        assert_eq!(config.up_deadline, Duration::from_secs(5));
    }

    #[test]
    fn every_error_of_every_layer_is_told_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("controller.yaml");
        fs::write(&file, "up-deadline: soon\ncolour: red\n").unwrap();
        let args = Args { config: Some(file), listen: Some("everywhere".to_owned()), ..Args::default() };
        let errors = args.config().unwrap_err().to_string();
        for part in ["listen: \"everywhere\"", "up-deadline: \"soon\"", "colour: is no setting"] {
            assert!(errors.contains(part), "{part} is not in: {errors}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let args = Args { config: Some(PathBuf::from("/no/such/file.yaml")), ..Args::default() };
        let error = args.config().unwrap_err().to_string();
        assert!(error.starts_with("/no/such/file.yaml: cannot be read"), "{error}");
    }
}
