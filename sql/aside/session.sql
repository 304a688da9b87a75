-- First words of a session that takes a restore back (one script). Storage refuses DELETE without the last setting.
SET search_path = '';
SET statement_timeout = 0;
SET client_min_messages = warning;
SET storage.allow_delete_query = 'true'
