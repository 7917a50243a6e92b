//! The families of an exposition, while its lines come in.

use std::collections::{HashMap, HashSet};

use crate::metrics::limits::{MAX_FAMILIES, MAX_SERIES};
use crate::metrics::model::{Aggregator, Family, Kind, Sample, Series, Suffix};
use crate::metrics::parse::line::RawSample;
use crate::metrics::write::{takes_exemplar, Format};

/// See the module.
#[derive(Debug)]
pub struct Families {
    format: Format,
    entries: Vec<Entry>,
    /// By the name that HELP and TYPE give.
    names: HashMap<String, usize>,
    seen: HashSet<(usize, Vec<u8>)>,
}

#[derive(Debug)]
struct Entry {
    family: Family,
    word: Option<Word>,
    helped: bool,
}

/// A type as it is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Of(Kind),
    Info,
    StateSet,
    GaugeHistogram,
}

impl Families {
    pub fn new(format: Format) -> Self {
        Self { format, entries: Vec::new(), names: HashMap::new(), seen: HashSet::new() }
    }

    pub fn help(&mut self, name: &str, text: String) -> Result<(), String> {
        let at = self.entry(name)?;
        let entry = &mut self.entries[at];
        if entry.helped {
            return Err(format!("HELP of {name} comes twice"));
        }
        entry.helped = true;
        entry.family.help = text;
        Ok(())
    }

    pub fn declare(&mut self, name: &str, word: &str) -> Result<(), String> {
        let open = self.format == Format::OpenMetrics;
        let word = match word {
            "counter" => Word::Of(Kind::Counter),
            "gauge" => Word::Of(Kind::Gauge),
            "histogram" => Word::Of(Kind::Histogram),
            "summary" => Word::Of(Kind::Summary),
            "untyped" if !open => Word::Of(Kind::Untyped),
            "unknown" if open => Word::Of(Kind::Untyped),
            "info" if open => Word::Info,
            "stateset" if open => Word::StateSet,
            "gaugehistogram" if open => Word::GaugeHistogram,
            other => return Err(format!("{other:?} is no type")),
        };
        let at = self.entry(name)?;
        let entry = &mut self.entries[at];
        if entry.word.is_some() {
            return Err(format!("TYPE of {name} comes twice"));
        }
        if !entry.family.samples.is_empty() {
            return Err(format!("TYPE of {name} comes after its first sample"));
        }
        entry.word = Some(word);
        entry.family.kind = match word {
            Word::Of(kind) => kind,
            Word::Info | Word::StateSet => Kind::Gauge,
            Word::GaugeHistogram => Kind::Untyped,
        };
        Ok(())
    }

    pub fn add(&mut self, raw: RawSample) -> Result<(), String> {
        if self.seen.len() >= MAX_SERIES {
            return Err(format!("more than {MAX_SERIES} series"));
        }
        let (at, suffix) = self.place(raw.name)?;
        let kind = self.entries[at].family.kind;
        if raw.exemplar.is_some() && !takes_exemplar(kind, suffix) {
            return Err(format!("{} can't have an exemplar", raw.name));
        }
        let series =
            Series::new(kind, suffix, raw.labels).map_err(|reason| format!("{}: {reason}", raw.name))?;
        if !self.seen.insert((at, series.key())) {
            return Err(format!("this series of {} comes twice", raw.name));
        }
        self.entries[at].family.samples.push(Sample { series, value: raw.value, exemplar: raw.exemplar });
        Ok(())
    }

    pub fn finish(self) -> Vec<Family> {
        let open = self.format == Format::OpenMetrics;
        let lowered = |entry: &Entry| matches!(entry.word, Some(Word::Info | Word::GaugeHistogram));
        self.entries
            .into_iter()
            .filter(|entry| !(lowered(entry) && entry.family.samples.is_empty()))
            .map(|entry| {
                let mut family = entry.family;
                if open && family.kind == Kind::Counter {
                    family.name.push_str("_total");
                }
                family
            })
            .collect()
    }

    /// The family and suffix that a sample's name means: a family of just that name, else the one without a suffix.
    fn place(&mut self, name: &str) -> Result<(usize, Suffix), String> {
        let open = self.format == Format::OpenMetrics;
        if let Some(at) = self.names.get(name) {
            match self.entries[*at].word {
                Some(Word::Of(Kind::Counter)) if open => {
                    return Err(format!("the series of counter {name} is called {name}_total"));
                }
                Some(Word::Of(Kind::Histogram) | Word::Info | Word::GaugeHistogram) => {
                    return Err(format!("a histogram or info family {name} has no series of that name"));
                }
                _ => return Ok((*at, Suffix::Value)),
            }
        }
        for (text, suffix) in [
            ("_bucket", Suffix::Bucket),
            ("_sum", Suffix::Sum),
            ("_count", Suffix::Count),
            ("_created", Suffix::Created),
            ("_total", Suffix::Value),
        ] {
            let Some(at) = name.strip_suffix(text).and_then(|base| self.names.get(base)) else { continue };
            let fits = match self.entries[*at].word {
                Some(Word::Of(Kind::Counter)) => open && matches!(text, "_total" | "_created"),
                Some(Word::Of(Kind::Histogram)) => text != "_total" && (open || text != "_created"),
                Some(Word::Of(Kind::Summary)) => {
                    matches!(text, "_sum" | "_count") || (open && text == "_created")
                }
                _ => false,
            };
            if fits {
                return Ok((*at, suffix));
            }
        }
        let at = self.entry(name)?;
        if let Some(base) = name.strip_suffix("_info").and_then(|base| self.names.get(base)) {
            if self.entries[*base].word == Some(Word::Info) {
                let help = self.entries[*base].family.help.clone();
                let family = &mut self.entries[at].family;
                (family.kind, family.help) = (Kind::Gauge, help);
            }
        }
        Ok((at, Suffix::Value))
    }

    fn entry(&mut self, name: &str) -> Result<usize, String> {
        if let Some(at) = self.names.get(name) {
            return Ok(*at);
        }
        let at = self.entries.len();
        if at >= MAX_FAMILIES {
            return Err(format!("more than {MAX_FAMILIES} families"));
        }
        let family = Family {
            name: name.to_owned(),
            help: String::new(),
            kind: Kind::Untyped,
            aggregator: Aggregator::Sum,
            samples: Vec::new(),
        };
        self.entries.push(Entry { family, word: None, helped: false });
        self.names.insert(name.to_owned(), at);
        Ok(at)
    }
}
