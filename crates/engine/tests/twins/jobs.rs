//! Jobs against a plain loop: all ways to run one give what the loop gives, for any partitions and threads.
use crate::common::*;
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use winterbourne_engine::BarrierTaskContext;

/// What a job on these partitions returns.
fn twin(all: &[u32], partitions: usize, chosen: &[usize]) -> Vec<u64> {
    let slice = |p: usize| &all[all.len() * p / partitions..all.len() * (p + 1) / partitions];
    chosen.iter().map(|&p| slice(p).iter().map(|x| u64::from(*x)).sum()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_way_to_run_a_job_gives_the_same(
        all in prop::collection::vec(any::<u32>(), 0..40),
        partitions in 1usize..12,
        chosen in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        threads in 1usize..4,
    ) {
        let sc = context(threads);
        let chosen: Vec<usize> = chosen.iter().map(|i| i.index(partitions)).collect();
        let rdd = sc.parallelize(all.clone(), partitions);
        let sum = |_: usize, flow: winterbourne_engine::Flow<u32>, _: &winterbourne_engine::Task| {
            Ok(flow.records().map(u64::from).sum::<u64>())
        };
        let expect = twin(&all, partitions, &chosen);
        prop_assert_eq!(&sc.run_job(&rdd, chosen.clone(), sum).unwrap(), &expect);
        let handed = Arc::new(Mutex::new(vec![None; chosen.len()]));
        let take = handed.clone();
        let put = move |i: usize, sum: u64| assert!(take.lock().unwrap()[i].replace(sum).is_none());
        sc.run_job_with(&rdd, chosen.clone(), sum, put.clone()).unwrap();
        let got = std::mem::replace(&mut *handed.lock().unwrap(), vec![None; chosen.len()]);
        prop_assert_eq!(got.into_iter().map(Option::unwrap).collect::<Vec<_>>(), expect.clone());
        sc.submit_job(&rdd, chosen, sum, put, || ()).get().unwrap();
        let got = handed.lock().unwrap().clone();
        prop_assert_eq!(got.into_iter().map(Option::unwrap).collect::<Vec<_>>(), expect);
        prop_assert_eq!(rdd.collect_async().get().unwrap(), all);
    }

    #[test]
    fn gathered_values_are_those_of_all_partitions(
        all in prop::collection::vec(any::<u32>(), 0..40),
        threads in 1usize..4,
        rounds in 0usize..4,
    ) {
        let sc = context(threads);
        let gathered = sc.parallelize(all.clone(), threads).barrier().map_partitions(move |records| {
            let mine: u64 = records.map(u64::from).sum();
            let task = BarrierTaskContext::get().expect("in a barrier stage");
            (0..rounds).map(|round| Ok(task.all_gather(mine + round as u64)?)).collect::<Result<Vec<_>, _>>()
        });
        let sums = twin(&all, threads, &Vec::from_iter(0..threads));
        let each: Vec<Vec<u64>> = (0..rounds as u64).map(|r| sums.iter().map(|s| s + r).collect()).collect();
        let expect: Vec<Vec<u64>> = (0..threads).flat_map(|_| each.clone()).collect();
        prop_assert_eq!(gathered.collect().unwrap(), expect);
    }
}
