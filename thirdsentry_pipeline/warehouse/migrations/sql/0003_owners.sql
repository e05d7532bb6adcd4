-- Three functions belong to roles made for them. Taking one over needs CREATE on the schema for
-- a moment, and the administrator, who is a member of all of them.
grant create on schema warehouse to ts_retention, ts_bi_admin;
alter function warehouse.prune_organization(text) owner to ts_retention;
alter function warehouse.create_bi_login(text, text, text, text) owner to ts_bi_admin;
alter function warehouse.drop_bi_login(text) owner to ts_bi_admin;
revoke create on schema warehouse from ts_retention, ts_bi_admin;
