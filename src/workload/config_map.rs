//! ConfigMaps: objects without a spec, edited a line at a time.

use std::fmt::Write;

use super::app::{App, word};
use super::cluster::{Cluster, Shelf};
use super::deployment::common_labels;
use super::json::{Fields, fields, object, text};
use super::kind::Kind;
use super::object::{Kept, Meta, Object};
use super::rng::mix;
use super::step::Change;
use crate::model::Timestamp;

const SECTIONS: [&str; 6] = ["server", "database", "cache", "queue", "tracing", "limits"];
const SETTINGS: [&str; 9] = [
    "pool.size.max",
    "connect.timeout.ms",
    "retry.backoff.initial.ms",
    "endpoint.primary",
    "batch.bytes.max",
    "idle.timeout.seconds",
    "queue.depth.max",
    "sample.percent",
    "key.rotation.hours",
];

/// A ConfigMap.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConfigMap {
    pub(super) meta: Meta,
    pub(super) app: App,
    /// How often a line was edited, in turn.
    pub(super) edits: u32,
}

impl ConfigMap {
    /// A file of settings; `edits` of them changed, in turn.
    fn properties(&self) -> String {
        let lines = 26 + self.app.aspect(50) % 20;
        let edits = u64::from(self.edits);
        let mut file = String::with_capacity(48 * lines as usize);
        for line in 0..lines {
            let edited = edits / lines + u64::from(line < edits % lines);
            let value = mix(self.app.aspect(100 + line), edited);
            let section = word(&SECTIONS, line / 9);
            let setting = word(&SETTINGS, line);
            // Writing to a String cannot fail.
            let _ = if line % 9 == 3 {
                writeln!(
                    file,
                    "{section}.{setting}=https://{}-{}.internal.example.com:{}",
                    self.app.word(),
                    section,
                    8_000 + value % 1_000
                )
            } else {
                writeln!(file, "{section}.{setting}={}", value % 100_000)
            };
        }
        file
    }

    /// A file that nobody edits.
    fn logging(&self) -> String {
        format!(
            "<configuration>\n  <appender name=\"json\" class=\"logging.JsonAppender\"/>\n  \
             <logger name=\"com.example.{word}\" level=\"INFO\"/>\n  \
             <logger name=\"com.example.{word}.http\" level=\"WARN\"/>\n  \
             <root level=\"INFO\"><appender-ref ref=\"json\"/></root>\n</configuration>\n",
            word = self.app.word()
        )
    }
}

impl Object for ConfigMap {
    fn kind(&self) -> Kind {
        Kind::ConfigMap
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn name(&self) -> String {
        format!("{}-config", self.app.name())
    }

    fn namespace(&self) -> String {
        self.app.namespace_name()
    }

    fn labels(&self) -> Fields {
        common_labels(self.app, "config")
    }

    fn annotations(&self) -> Fields {
        let source = format!("git.example.com/{}/config", self.app.team());
        fields([("config.example.com/source", text(source))])
    }

    fn content(&self) -> Fields {
        let data = object([
            ("application.properties", text(self.properties())),
            ("logging.xml", text(self.logging())),
            ("REGION", text("eu-central-1")),
        ]);
        fields([("data", data)])
    }
}

impl Kept for ConfigMap {
    fn shelf(cluster: &Cluster) -> &Shelf<Self> {
        &cluster.config_maps
    }

    fn shelf_mut(cluster: &mut Cluster) -> &mut Shelf<Self> {
        &mut cluster.config_maps
    }
}

impl Cluster {
    /// Creates a ConfigMap.
    pub(super) fn add_config_map(&mut self, app: App, at: Timestamp) -> Option<Change> {
        let config_map = ConfigMap {
            meta: self.new_meta(at),
            app,
            edits: 0,
        };
        self.add(config_map, at)
    }

    /// Changes a line of a ConfigMap.
    pub(super) fn edit_config_map(&mut self, at: Timestamp) -> Option<Change> {
        let mut config_map = self.config_maps.pick(self.rng.uuid())?;
        config_map.edits += 1;
        self.update(config_map, at)
    }
}
