//! [`Reader`]: one partition, from an offset on.
use super::{Said, create, failed, passes};
use crate::{Error, KafkaParams, TopicPartition};
use rdkafka::{
    Message as _, Offset, TopicPartitionList, bindings,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers as _},
};
use std::{ffi::CString, time::Duration};

pub(crate) struct Reader {
    consumer: BaseConsumer<Said>,
    partition: TopicPartition,
    params: KafkaParams,
    /// The offset that is asked for next.
    position: Option<i64>,
}

/// What came.
pub(crate) enum Polled<'a> {
    Record(Borrowed<'a>),
    /// There was nothing behind the last record when the broker looked; where the partition ended by its latest answer.
    End(i64),
    /// Nothing, for now; what the client said.
    Nothing(Option<String>),
    /// The offset that is wanted does not exist.
    OutOfRange,
}

/// A record that the client still owns.
pub(crate) struct Borrowed<'a>(BorrowedMessage<'a>);
impl Borrowed<'_> {
    pub(crate) fn offset(&self) -> i64 {
        self.0.offset()
    }
    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.0.key()
    }
    pub(crate) fn value(&self) -> Option<&[u8]> {
        self.0.payload()
    }
    pub(crate) fn timestamp(&self) -> Option<i64> {
        self.0.timestamp().to_millis()
    }
    pub(crate) fn headers(&self) -> Vec<crate::Header> {
        let Some(headers) = self.0.headers() else { return Vec::new() };
        let own = |h: rdkafka::message::Header<'_, &[u8]>| crate::Header {
            key: h.key.to_owned(),
            value: h.value.map(<[u8]>::to_vec),
        };
        headers.iter().map(own).collect()
    }
}

impl Reader {
    pub(crate) fn open(params: &KafkaParams, partition: &TopicPartition) -> Result<Self, Error> {
        let group =
            params.get("group.id").map_or("winterbourne-reader".to_owned(), |g| format!("winterbourne-reader-{g}"));
        let own = params.clone().set("group.id", group).set("enable.auto.commit", "false");
        let own = own.set("auto.offset.reset", "error").set("enable.partition.eof", "true");
        // What is read ahead has a bound, and a broker without news answers soon.
        let own = own.default_to("queued.max.messages.kbytes", "16384").default_to("fetch.wait.max.ms", "100");
        let consumer = create(&own, Said)?;
        Ok(Reader { consumer, partition: partition.clone(), params: own, position: None })
    }
    pub(crate) fn position(&self) -> Option<i64> {
        self.position
    }
    /// Reads from `offset` on; what was read ahead is dropped.
    pub(crate) fn seek(&mut self, offset: i64) -> Result<(), Error> {
        let doing = || format!("{} is read from {offset}", self.partition);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.partition.topic, self.partition.partition, Offset::Offset(offset))
            .and_then(|()| self.consumer.assign(&list))
            .map_err(|e| failed(&self.params, doing(), &e))?;
        self.position = Some(offset);
        Ok(())
    }
    /// Where the partition ends, by the latest answer to a request for records; below every offset if there was none.
    fn end_seen(&self) -> i64 {
        let Ok(topic) = CString::new(self.partition.topic.as_str()) else { return -1 };
        let (mut first, mut end) = (-1, -1);
        let client = self.consumer.client().native_ptr();
        // SAFETY: the client lives as long as the consumer, which is borrowed; the name ends with NUL and lives until the
        // call returns; the two numbers are written to, and nothing else.
        let code = unsafe {
            bindings::rd_kafka_get_watermark_offsets(
                client,
                topic.as_ptr(),
                self.partition.partition,
                &raw mut first,
                &raw mut end,
            )
        };
        if code == bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR { end } else { -1 }
    }
    /// What comes next, within `wait`.
    pub(crate) fn poll(&mut self, wait: Duration) -> Result<Polled<'_>, Error> {
        use RDKafkaErrorCode as Code;
        match self.consumer.poll(wait) {
            None => Ok(Polled::Nothing(None)),
            Some(Ok(m)) => {
                self.position = Some(m.offset() + 1);
                Ok(Polled::Record(Borrowed(m)))
            }
            Some(Err(KafkaError::PartitionEOF(_))) => Ok(Polled::End(self.end_seen())),
            Some(Err(KafkaError::MessageConsumption(Code::AutoOffsetReset | Code::OffsetOutOfRange))) => {
                self.position = None;
                Ok(Polled::OutOfRange)
            }
            // The client goes on trying by itself.
            Some(Err(e @ KafkaError::MessageConsumption(code))) if passes(code) => {
                Ok(Polled::Nothing(Some(e.to_string())))
            }
            Some(Err(e)) => Err(failed(&self.params, format!("{} is read", self.partition), &e)),
        }
    }
}
