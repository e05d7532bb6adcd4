-- Rows of up to half a page are kept as they came, not only of up to a quarter: to compress those
-- between took a seventh of the time that storing facts takes.
alter table warehouse.evidence set (toast_tuple_target = 4080);
