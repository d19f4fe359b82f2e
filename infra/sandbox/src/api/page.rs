//! Pages of lists.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Answer, Call, Reply, query};
use crate::errors::Problem;

/// What stays readable in a query.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How many values a page may have.
pub(super) const MOST: usize = 100;

impl Call<'_> {
    /// A page of values, after `q` and `sort`.
    pub(super) fn page(&self, values: Vec<Value>, most: usize) -> Answer {
        self.page_with(values, most, true)
    }

    /// A page that may leave its total out, as lists of commits do.
    pub(super) fn page_with(&self, values: Vec<Value>, most: usize, sized: bool) -> Answer {
        let mut values = query::filtered(values, self.request.parameter("q"))?;
        if let Some(sort) = self.request.parameter("sort") {
            query::sort(&mut values, sort);
        }
        let number = |name: &str, default: usize| {
            let text = self.request.parameter(name);
            text.map_or(Some(default), |text| text.parse::<usize>().ok().filter(|number| *number > 0))
        };
        let pagelen = number("pagelen", 10).filter(|length| *length <= most);
        let pagelen = pagelen.ok_or_else(|| Problem::bad("Invalid pagelen"))?;
        let page = number("page", 1).ok_or_else(|| Problem::bad("Invalid page"))?;
        let size = values.len();
        let start = (page - 1).saturating_mul(pagelen).min(size);
        let end = start.saturating_add(pagelen).min(size);
        let shown: Vec<Value> = values.drain(start..end).collect();
        let mut body = json!({"values": shown, "pagelen": pagelen, "page": page});
        if sized {
            body["size"] = json!(size);
        }
        if end < size {
            body["next"] = json!(self.page_url(page + 1));
        }
        if page > 1 {
            body["previous"] = json!(self.page_url(page - 1));
        }
        Ok(Reply::json(200, body))
    }

    fn page_url(&self, page: usize) -> String {
        let others = self.request.query.iter().filter(|(name, _)| name != "page");
        let mut parts: Vec<String> =
            others.map(|(name, value)| format!("{}={}", plain(name), plain(value))).collect();
        parts.push(format!("page={page}"));
        format!("{}{}?{}", self.world.base, self.request.path, parts.join("&"))
    }
}

fn plain(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}
