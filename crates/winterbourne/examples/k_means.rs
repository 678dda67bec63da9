//! k-means: points in k groups, each around its centre.
//!
//!     cargo run --example k_means                     three clouds of made points
//!     cargo run --example k_means -- POINTS K         POINTS: lines of numbers, as many on each
//!
//! The centres of a round are broadcast; a group's sum is combined before the shuffle, so a round moves k sums.
use winterbourne::prelude::*;

/// Its coordinates.
pub type Point = Vec<f64>;

/// The square of the distance.
fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}
/// The number of the centre that is next to a point.
pub fn nearest(point: &[f64], centres: &[Point]) -> usize {
    let by_distance = |i: &usize, j: &usize| squared(point, &centres[*i]).total_cmp(&squared(point, &centres[*j]));
    (0..centres.len()).min_by(by_distance).expect("k is not 0")
}
/// Lines of numbers between blanks or commas.
pub fn points(lines: &Rdd<Text>) -> Rdd<Point> {
    let parse = |line: Text| -> Result<Point, String> {
        let fields = line.split([' ', ',', '\t']).filter(|field| !field.is_empty());
        fields.map(|field| field.parse().map_err(|_| format!("`{field}` is no number"))).collect()
    };
    lines.filter(|line| !line.trim().is_empty()).try_map(OnBadRecord::Fail, parse)
}
/// Moves k centres until none moves further than `enough` any more. They begin as k points taken by lot.
pub fn k_means(points: &Rdd<Point>, k: usize, enough: f64, seed: u64) -> Result<Vec<Point>, BoxError> {
    let sc = points.spark_context();
    let mut centres = points.take_sample(Sampling::without_replacement().seed(seed), k)?;
    if centres.len() < k || k == 0 {
        return Err(format!("{k} groups need as many points; there are {}", centres.len()).into());
    }
    loop {
        let known = sc.broadcast(centres.clone());
        let sums = points
            .map(move |point| (nearest(&point, known.value()), (point, 1u64)))
            .reduce_by_key(|(mut sum, n), (point, m)| {
                sum.iter_mut().zip(&point).for_each(|(sum, x)| *sum += x);
                (sum, n + m)
            })
            .collect()?;
        let mut moved = 0.0f64;
        for (i, (mut sum, n)) in sums {
            sum.iter_mut().for_each(|x| *x /= n as f64);
            moved = moved.max(squared(&sum, &centres[i]).sqrt());
            centres[i] = sum;
        }
        if moved <= enough {
            return Ok(centres);
        }
    }
}

/// Three clouds, the same each time.
fn clouds(sc: &SparkContext) -> Rdd<Point> {
    let spread = |i: u64, salt: u64| ((i * 2_654_435_761 + salt * 40_503) % 1_000) as f64 / 1_000.0 - 0.5;
    sc.range(0..3_000, 4).map(move |i| {
        let (x, y) = [(0.0, 0.0), (10.0, 0.0), (5.0, 8.0)][(i % 3) as usize];
        vec![x + spread(i, 1), y + spread(i, 2)]
    })
}

fn main() -> Result<(), BoxError> {
    winterbourne::log_to_stderr();
    let sc = SparkContext::new(SparkConf::new().set_app_name("k_means"))?;
    let (points, k) = match &std::env::args().skip(1).collect::<Vec<_>>()[..] {
        [] => (clouds(&sc), 3),
        [path, k] => (
            points(&sc.text_file(path, sc.default_parallelism())),
            k.parse().map_err(|_| format!("K is a number, not `{k}`"))?,
        ),
        _ => return Err("give POINTS and K, or neither".into()),
    };
    let points = points.cache();
    let mut centres = k_means(&points, k, 1e-4, 7)?;
    centres.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    for centre in centres {
        println!("{}", centre.iter().map(|x| format!("{x:.3}")).collect::<Vec<_>>().join(" "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(threads: usize) -> SparkContext {
        let conf = SparkConf::empty().set_app_name("test").set_master(format!("local[{threads}]"));
        SparkContext::new(conf).unwrap()
    }
    #[test]
    fn every_centre_is_the_mean_of_its_group_for_any_number_of_threads() {
        let run = |threads| k_means(&clouds(&context(threads)).cache(), 3, 1e-9, 7).unwrap();
        let centres = run(2);
        assert_eq!(centres, run(1), "results do not depend on threads");
        let sc = context(2);
        let points = clouds(&sc).collect().unwrap();
        for (i, centre) in centres.iter().enumerate() {
            let group: Vec<&Point> = points.iter().filter(|p| nearest(p, &centres) == i).collect();
            for axis in 0..2 {
                let mean = group.iter().map(|p| p[axis]).sum::<f64>() / group.len() as f64;
                assert!((mean - centre[axis]).abs() < 1e-6, "centre {i}, axis {axis}: {mean} {}", centre[axis]);
            }
        }
    }
    #[test]
    fn bad_input_is_named() {
        let sc = context(1);
        let error = points(&sc.parallelize(["1 2", "3 x"].map(Text::from), 1)).count().unwrap_err();
        assert!(error.to_string().contains("`x` is no number"), "{error}");
        let few = points(&sc.parallelize(["1 2"].map(Text::from), 1));
        assert!(k_means(&few, 2, 0.1, 1).unwrap_err().to_string().contains("there are 1"));
    }
}
