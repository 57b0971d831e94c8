-- fail: a title has one row, and admissions and amounts add up to those of the facts
select titles.admissions, facts.admissions, titles.ticket_revenue_amount, facts.ticket_revenue_amount
from (
    select
        coalesce(sum(admissions), 0) as admissions,
        coalesce(sum(ticket_revenue_amount), 0) as ticket_revenue_amount,
        coalesce(sum(concession_amount), 0) as concession_amount,
        count(*) as titles,
        count(distinct title_id) as ids,
    from marts.title_performance
) as titles
cross join (
    select
        coalesce(sum(admissions), 0) as admissions,
        coalesce(sum(ticket_revenue_amount), 0) as ticket_revenue_amount,
        coalesce(sum(concession_amount), 0) as concession_amount,
    from gold.fct_cinema_attendance
) as facts
where titles.admissions <> facts.admissions
    or titles.ticket_revenue_amount <> facts.ticket_revenue_amount
    or titles.concession_amount <> facts.concession_amount
    or titles.titles <> titles.ids;

-- warn: occupancy is between 0 and 1
select title_id, occupancy from marts.title_performance where occupancy not between 0 and 1;

-- fail: without halo days there are no halo sales, and halo days are within the history of the shop
select title_id, halo_days, halo_net_sales_amount
from marts.title_performance
where halo_days < 0
    or halo_days > (select max(date) - min(date) + 1 from marts.product_daily)
    or (halo_days = 0 and halo_net_sales_amount <> 0);
