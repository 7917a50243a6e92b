//! The JSON of a schema, as JavaScript writes it.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::metrics::error::{MetricsError, Result};
use crate::metrics::model::{Aggregator, Kind, Labels, Series, Suffix};
use crate::metrics::number;
use crate::metrics::schema::Definition;

#[derive(Serialize, Deserialize)]
pub struct WireSchema {
    families: Vec<WireFamily>,
}

#[derive(Serialize, Deserialize)]
struct WireFamily {
    name: String,
    #[serde(default)]
    help: String,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    aggregator: Option<Aggregator>,
    series: Vec<(String, WireLabels)>,
}

/// An object whose order is kept and whose values are texts in the end.
pub struct WireLabels(pub Vec<(String, String)>);

/// The values that JavaScript programs give to labels.
#[derive(Deserialize)]
#[serde(untagged)]
enum LabelValue {
    Text(String),
    Flag(bool),
    Number(f64),
    Null(()),
}

impl WireSchema {
    pub fn definitions(self) -> Result<Vec<Definition>> {
        self.families.into_iter().map(WireFamily::definition).collect()
    }

    /// All fields are texts: it can't fail.
    pub fn json(definitions: &[Definition]) -> String {
        let families = definitions.iter().map(WireFamily::of).collect();
        serde_json::to_string(&Self { families }).unwrap_or_default()
    }
}

impl WireFamily {
    fn of(definition: &Definition) -> Self {
        let labels = |series: &Series| {
            series.labels().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        Self {
            name: definition.name().to_owned(),
            help: definition.help().to_owned(),
            kind: definition.kind(),
            aggregator: Some(definition.aggregator()),
            series: definition
                .series()
                .iter()
                .map(|series| (series.suffix().text().to_owned(), WireLabels(labels(series))))
                .collect(),
        }
    }

    fn definition(self) -> Result<Definition> {
        let bad = |reason: String| MetricsError::BadSchema(format!("{}: {reason}", self.name));
        let mut series = Vec::with_capacity(self.series.len());
        for (suffix, labels) in self.series {
            let suffix = Suffix::from_text(&suffix)
                .ok_or_else(|| bad(format!("{suffix:?} is no suffix of a series")))?;
            series.push(
                Labels::new(labels.0)
                    .and_then(|labels| Series::new(self.kind, suffix, labels))
                    .map_err(bad)?,
            );
        }
        let aggregator = self.aggregator.unwrap_or_default();
        Definition::new(self.name, self.help, self.kind, aggregator, series)
    }
}

impl<'de> Deserialize<'de> for WireLabels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = WireLabels;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireLabels, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, LabelValue>()? {
                    pairs.push((name, value.into_text()));
                }
                Ok(WireLabels(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

impl Serialize for WireLabels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl LabelValue {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number::to_string(number),
            Self::Null(()) => "null".to_owned(),
        }
    }
}
