//! The independent count: the same figures straight from the data file, in plain integers, with no code of the plugins.

use anyhow::Result;

use super::{
    app::{ANONYMOUS, MODULES},
    data::{Data, Item, Line},
    figures::{Cancellation, Figures, Tally},
    money,
};

/// Counts the whole file. The second number is how many messages it makes.
pub fn count(data: &Data) -> Result<(Figures, u64)> {
    count_items(data.items()?)
}

/// Counts items that are the messages from 1 on.
pub fn count_items(items: impl Iterator<Item = Result<Item>>) -> Result<(Figures, u64)> {
    let mut figures = Figures::default();
    let mut sequence = 0;
    for item in items {
        sequence += 1;
        match item? {
            Item::Line(_, line) => add(&mut figures, &line)?,
            Item::Damaged(_) => figures.dead.extend(MODULES.map(|module| (sequence, module.name.to_owned()))),
        }
    }
    Ok((figures, sequence))
}

fn add(figures: &mut Figures, line: &Line) -> Result<()> {
    let price = money::parse(&line.unit_price)?;
    let customer = if line.customer.is_empty() { ANONYMOUS } else { &line.customer };
    tally(figures.countries.entry(line.country.clone()).or_default(), line, price);
    tally(figures.customers.entry(customer.to_owned()).or_default(), line, price);
    if line.invoice.starts_with('C') {
        cancel(figures, line);
    }
    for rule in broken(line, price) {
        *figures.flagged.entry((rule.to_owned(), line.invoice.clone())).or_default() += 1;
    }
    Ok(())
}

fn tally(tally: &mut Tally, line: &Line, price: i128) {
    let sold_at = line.sold_at();
    tally.lines += 1;
    tally.units += line.quantity;
    tally.revenue_millionths += i128::from(line.quantity) * price;
    if tally.first.is_empty() || sold_at < tally.first {
        tally.first.clone_from(&sold_at);
    }
    if sold_at > tally.last {
        tally.last = sold_at;
    }
}

fn cancel(figures: &mut Figures, line: &Line) {
    if !figures.remembered.insert(line.invoice.clone()) {
        return;
    }
    let day: String = line.date.chars().take_while(|letter| *letter != ' ').collect();
    *figures.days.entry(day.clone()).or_default() += 1;
    let customer = Some(line.customer.clone()).filter(|customer| !customer.is_empty());
    let cancellation = Cancellation { day, country: line.country.clone(), customer };
    figures.cancelled.insert(line.invoice.clone(), vec![cancellation]);
}

fn broken(line: &Line, price: i128) -> impl Iterator<Item = &'static str> {
    let digits = line.stock_code.bytes().take_while(u8::is_ascii_digit).count();
    let rules = [
        ("negative-price", price < 0),
        ("zero-price", price == 0),
        ("negative-quantity", line.quantity < 0 && !line.invoice.starts_with('C')),
        ("stock-code", digits < 5),
    ];
    rules.into_iter().filter_map(|(rule, broken)| broken.then_some(rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slice_has_all_its_dirt() -> Result<()> {
        let (figures, messages) = count(&Data::open(None)?)?;
        let lines: u64 = figures.countries.values().map(|tally| tally.lines).sum();
        assert_eq!((messages, lines, figures.dead.len()), (12_010, 12_000, 30));
        assert_eq!((figures.countries.len(), figures.customers.len()), (21, 481));
        for rule in ["negative-price", "zero-price", "negative-quantity", "stock-code"] {
            assert!(figures.flagged.keys().any(|(flagged, _)| flagged == rule), "{rule}");
        }
        assert!(figures.cancelled.len() > 50 && figures.customers.contains_key(ANONYMOUS));
        Ok(())
    }
}
